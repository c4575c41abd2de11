// `chorus build` in a project, and `chorus serve` of the file that it makes. Not for a cluster.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { freePort } from "../../../testing/services/programs.mjs";
import { ROOMY } from "../limits.mjs";
import { Process } from "../process.mjs";
import { START_MS } from "../server.mjs";
import { Player, WAIT_MS } from "./player.mjs";

const COMMAND = fileURLToPath(new URL("../../../packages/chorus-rooms/bin/chorus.mjs", import.meta.url));
const STOP_MS = 60_000;
const TEST = { timeout: 2 * START_MS };

const counter = (step) => `import { Room } from "chorus";
export default class extends Room {
  static lobby = {};
  state = { count: 0 };
  messages = { add: () => (this.state.count += ${step}) };
}
`;

let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "chorus-serve-"));
  await put("package.json", '{ "name": "@me/counting", "private": true, "type": "module" }');
  await put("rooms/counter/index.js", counter(1));
  await put("web/index.html", "<!doctype html><title>Counting</title>");
});

after(() => rm(folder, { recursive: true, force: true }));

async function put(name, text) {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), text);
}

const build = (...args) => promisify(execFile)(process.execPath, [COMMAND, "build", ...args], { cwd: folder });

/** `chorus serve`, in the project unless another folder is named. Stopped at the end of the test. */
async function serve(t, { args = [], at = ".", port = 0 } = {}) {
  const env = { ...ROOMY, ...process.env };
  const server = new Process(process.env.CHORUS_BIN, ["serve", "--port", String(port), ...args], { cwd: join(folder, at), env });
  t.after(() => server.running && server.interrupt("SIGTERM", STOP_MS));
  const [url] = await server.start(/http:\/\/127\.0\.0\.1:\d+/, START_MS);
  return { server, url };
}

const status = async (url, path) => (await fetch(url + path)).status;

test("a project is built into one file, served, and served again with another version", TEST, async (t) => {
  assert.match((await build()).stdout, /dist\/counting\.chorus  \d/);
  const port = await freePort();
  const first = await serve(t, { port, at: "rooms/counter" });
  assert.deepEqual(await Promise.all(["/readyz", "/", "/chorus.js", "/chorus-offline.js"].map((path) => status(first.url, path))), [200, 200, 200, 200]);
  assert.match(await (await fetch(first.url)).text(), /Counting/, "the page of the project");
  // Nothing of an author's is there: a path of the page's has the page, and the author's paths have nothing.
  assert.deepEqual(await Promise.all(["/dev", "/dev/events", "/dev/inspector"].map((path) => status(first.url, path))), [404, 404, 404]);

  const ana = await Player.join("Ana", first.url);
  t.after(() => ana.client.close());
  const room = await ana.client.joinOrCreate("counter");
  assert.equal(await room.send("add"), 1);
  await listed("counter");
  assert.equal(await first.server.interrupt("SIGTERM", STOP_MS), 0);

  await put("rooms/counter/index.js", counter(10));
  await build();
  await serve(t, { port });
  await ana.until("its room again", () => ana.client.state === "connected");
  assert.equal(await ana.client.send("add"), 11, "the same room runs the new version");
});

/** Resolves when `chorus room ls`, which finds the server and its token by itself, has a room of this kind. */
async function listed(kind) {
  const deadline = Date.now() + WAIT_MS;
  for (let rooms = ""; !rooms.includes(kind);) {
    assert.ok(Date.now() < deadline, rooms);
    rooms = (await promisify(execFile)(process.env.CHORUS_BIN, ["room", "ls"], { cwd: folder, env: { ...process.env, CHORUS_TOKEN: "" } })).stdout;
  }
}

test("a folder of components is served, and a page only if it is named", TEST, async (t) => {
  await build("--out", "components");
  const { url } = await serve(t, { args: [join(folder, "components"), "--data", join(folder, "other")] });
  assert.deepEqual(await Promise.all(["/readyz", "/", "/chorus.js"].map((path) => status(url, path))), [200, 404, 200]);
  const ana = await Player.join("Ana", url);
  t.after(() => ana.client.close());
  assert.equal(await (await ana.client.joinOrCreate("counter")).send("add") > 0, true);
});

test("what cannot be served is refused by name, and no data directory is made", TEST, async () => {
  await build();
  const bundle = await readFile(join(folder, "dist/counting.chorus"));
  bundle[bundle.length - 1] ^= 1;
  await put("damaged.chorus", bundle);
  await mkdir(join(folder, "empty"), { recursive: true });
  for (const [rooms, expected] of [
    ["damaged.chorus", /damaged\.chorus is refused: .*component lobby is damaged/],
    ["package.json", /package\.json is refused: it is none: `chorus build`/],
    ["nothing.chorus", /nothing\.chorus cannot be read/],
    ["empty", /empty\/manifest\.json cannot be read/],
  ]) {
    const refused = promisify(execFile)(process.env.CHORUS_BIN, ["serve", rooms, "--port", "0", "--data", "none"], { cwd: folder });
    await assert.rejects(refused, (error) => (assert.match(error.stderr, expected), true));
  }
  await assert.rejects(readFile(join(folder, "none/lock")), { code: "ENOENT" });
});
