/** `chorus dev` in a project of its own: a folder outside this repository, with the packages, rooms and a page. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, get, request } from "node:http";
import { networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { ROOMY } from "../limits.mjs";
import { Process } from "../process.mjs";
import { START_MS } from "../server.mjs";
import { Player, WAIT_MS } from "./player.mjs";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const PACKAGE = join(REPOSITORY, "packages/chorus-rooms");
const STORY = { timeout: 2 * START_MS };
const STOP_MS = 60_000;

const FILES = {
  "package.json": '{ "name": "counting", "private": true, "type": "module" }',
  "rooms/counter/index.js": `import { Room } from "chorus";
import { STEP } from "../../shared/step.js";
export default class extends Room {
  static lobby = {};
  state = { count: 0 };
  messages = { add: () => (this.state.count += STEP) };
}
`,
  "rooms/broken/index.js": 'import { Room } from "chorus";\nexport default class extends Room {\n  onCreate(( {}\n}\n',
  "shared/step.js": "export const STEP = 1;\n",
  "web/index.html": "<!doctype html><title>Counting</title><script type=module src=/app.js></script>",
  "web/app.js": 'import { Chorus } from "/chorus.js";\n',
  "secret.txt": "private",
};

let folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "chorus-project-"));
  for (const [name, text] of Object.entries(FILES)) await put(name, text);
  await mkdir(join(folder, "node_modules/.bin"), { recursive: true });
  await symlink(PACKAGE, join(folder, "node_modules/chorus-rooms"));
  await symlink("../chorus-rooms/bin/chorus.mjs", join(folder, "node_modules/.bin/chorus-rooms"));
  await symlink("../secret.txt", join(folder, "web/link.txt"));
  await symlink("..", join(folder, "web/up"));
});

after(() => rm(folder, { recursive: true, force: true }));

async function put(name, text) {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), text);
}

/** `chorus dev` by a command in a folder of the project: `{ process, url }`. Stopped at the end of the test. */
async function dev(t, { args = [], command = [process.execPath, join(PACKAGE, "bin/chorus.mjs")], at = "." } = {}) {
  const [program, ...rest] = command;
  const server = new Process(program, [...rest, "dev", "--port", "0", ...args], { cwd: join(folder, at), env: { ...ROOMY, ...process.env } });
  t.after(() => server.running && server.interrupt("SIGTERM", STOP_MS));
  const [url] = await server.start(/http:\/\/127\.0\.0\.1:\d+/, START_MS);
  return { server, url, prints: (pattern) => server.prints(pattern, START_MS) };
}

/** The answer to exactly this path: `{ status, headers, text }`. */
async function fetched(url, path, headers = {}) {
  const { hostname, port } = new URL(url);
  const asked = request({ hostname, port, path, headers, agent: false }).end();
  const [answer] = await once(asked, "response");
  let text = "";
  for await (const piece of answer.setEncoding("utf8")) text += piece;
  return { status: answer.statusCode, headers: answer.headers, text };
}

/** Resolves when nothing listens at a URL any more. */
async function isGone(url) {
  const deadline = Date.now() + STOP_MS;
  for (;;) {
    const answered = await new Promise((resolve) => get(url, (answer) => (answer.destroy(), resolve(true))).on("error", () => resolve(false)));
    if (!answered) return;
    assert.ok(Date.now() < deadline, `${url} still answers`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits for a promise no longer than a story's wait. */
function within(promise, what) {
  let late;
  const never = new Promise((_, reject) => (late = setTimeout(() => reject(new Error(`no ${what}`)), WAIT_MS)));
  return Promise.race([promise, never]).finally(() => clearTimeout(late));
}

test("a project is played, edited, stopped under npx and continued", STORY, async (t) => {
  const { server, url, prints } = await dev(t, { command: ["npx", "--no-install", "chorus-rooms"], at: "rooms/counter" });
  await prints(/broken: does not build[^]*rooms\/broken\/index\.js:3:\d+: /);
  const ana = await Player.join("Ana", url);
  const room = await within(ana.client.joinOrCreate("counter"), "room");
  assert.equal(await within(room.send("add"), "answer"), 1);

  await put("shared/step.js", "export const STEP = 10;\n");
  await prints(/counter: swapped in 1 room/);
  assert.equal(await within(room.send("add"), "answer"), 11, "the same room runs the new version");
  assert.equal(ana.connections, 1);

  await put("rooms/other/index.js", FILES["rooms/counter/index.js"]);
  await prints(/other: new rooms run it/);
  await prints(/lobby: swapped in 1 room/);
  const ben = await Player.join("Ben", url);
  assert.equal(await within((await within(ben.client.joinOrCreate("other"), "room")).send("add"), "answer"), 10);

  const { id } = room;
  for (const player of [ana, ben]) player.client.close();
  server.signal("SIGTERM");
  await isGone(url);
  await within(server.ended, "end of npx");
  assert.ok((await readdir(join(folder, "data"))).includes("store.sqlite"));

  const again = await dev(t);
  const cleo = await Player.join("Cleo", again.url);
  const joined = await within(cleo.client.join(id), "room");
  assert.deepEqual(joined.view, { count: 11 });
  cleo.client.close();
  assert.equal(await again.server.interrupt("SIGTERM", STOP_MS), 0);
});

test("the page, the client and its types are served, and nothing else of the project", STORY, async (t) => {
  const { url } = await dev(t);
  for (const [path, kind, text] of [
    ["/", "text/html; charset=utf-8", FILES["web/index.html"]],
    ["/play", "text/html; charset=utf-8", FILES["web/index.html"]],
    ["/app.js", "text/javascript; charset=utf-8", FILES["web/app.js"]],
    ["/chorus.js", "text/javascript; charset=utf-8", await readFile(join(REPOSITORY, "clients/js/chorus.js"), "utf8")],
    ["/chorus.d.ts", "text/plain; charset=utf-8", await readFile(join(REPOSITORY, "clients/js/chorus.d.ts"), "utf8")],
    ["/chorus-offline.js", "text/javascript; charset=utf-8", `const PAGE = \`${await readFile(join(REPOSITORY, "chorus/page/offline.html"), "utf8")}\`;\n\n${await readFile(join(REPOSITORY, "chorus/page/offline.js"), "utf8")}`],
  ]) {
    const answer = await fetched(url, path);
    assert.deepEqual([answer.status, answer.headers["content-type"], answer.headers["cache-control"]], [200, kind, "no-cache"], path);
    assert.ok(answer.text === text, path);
  }
  for (const path of ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt", "/up/secret.txt", "/missing.png", "/v1", "/dev/nothing", "/ws/x"]) {
    const { status, text } = await fetched(url, path);
    assert.ok(status === 404 && !text.includes("private"), `${path}: ${status}`);
  }
  const { headers: { etag } } = await fetched(url, "/app.js");
  assert.equal((await fetched(url, "/app.js", { "If-None-Match": etag })).status, 304);
  await put("web/app.js", "changed();\n");
  const changed = await fetched(url, "/app.js", { "If-None-Match": etag });
  assert.deepEqual([changed.status, changed.text], [200, "changed();\n"]);
});

test("a development server is passed the page's requests and sockets, and its absence is reported", STORY, async (t) => {
  const upstream = createServer((asked, answer) => answer.writeHead(201, { "X-Host": asked.headers.host }).end(`vite: ${asked.method} ${asked.url}`));
  upstream.on("upgrade", (asked, socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Origin: ${asked.headers.origin}\r\n\r\n`);
    socket.on("error", () => {}).on("data", (data) => socket.write(`again: ${data}`));
  });
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  const authority = `127.0.0.1:${upstream.address().port}`;
  t.after(() => (upstream.closeAllConnections(), upstream.close()));

  const { url } = await dev(t, { args: ["--web", `http://${authority}`] });
  const page = await fetched(url, "/src/main.ts?t=1");
  assert.deepEqual([page.status, page.text, page.headers["x-host"]], [201, "vite: GET /src/main.ts?t=1", authority]);
  assert.match((await fetched(url, "/chorus.js")).text, /class Chorus/);
  assert.equal((await fetched(url, "/v1/rooms")).status, 401, "the operators' API is this server's");

  const opened = (origin) => {
    const headers = { Connection: "Upgrade", Upgrade: "websocket", Origin: origin };
    const asked = request(`${url}/hmr`, { headers, agent: false }).end();
    return Promise.race([once(asked, "upgrade"), once(asked, "response")]);
  };
  const [answer, socket] = await within(opened(url), "socket");
  assert.deepEqual([answer.statusCode, answer.headers["x-origin"]], [101, `http://${authority}`]);
  socket.write("reload?");
  const [data] = await within(once(socket, "data"), "data");
  assert.equal(String(data), "again: reload?");
  socket.destroy();
  const [refused] = await within(opened("https://evil.example"), "answer");
  assert.equal(refused.statusCode, 403, "another page must not reach the development server");
  refused.destroy();

  const ana = await Player.join("Ana", url);
  ana.client.close();
  upstream.closeAllConnections();
  upstream.close();
  const gone = await fetched(url, "/");
  assert.deepEqual([gone.status, gone.text.includes(`${authority} does not answer`)], [502, true]);
});

test("with --lan phones have the game, and neither the operators' API nor the author's page", STORY, async (t) => {
  const own = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  if (own === undefined) return t.skip("this machine is in no network");
  const { url, prints } = await dev(t, { args: ["--lan"] });
  const { port } = new URL(url);
  await prints(/phones in this network: http:\/\/[\d.]+:\d+\/|no address of a network/);
  const lan = `http://${own}:${port}`;
  assert.equal((await fetched(lan, "/")).text, FILES["web/index.html"]);
  const ana = await Player.join("Ana", lan);
  ana.client.close();
  for (const path of ["/v1/rooms", "/v1/machines", "/metrics", "/dev", "/dev/events", "/dev/inspector", "/dev/dev.js"]) {
    const { status, text } = await fetched(lan, path);
    assert.equal(status, 404, `${path}: ${text}`);
  }
  assert.equal((await fetched(url, "/v1/rooms")).status, 401);
  assert.equal((await fetched(url, "/dev")).status, 200);
  for (const path of ["/dev", "/v1/rooms"]) assert.equal((await fetched(url, path, { "X-Forwarded-For": "10.0.0.7" })).status, 404, path);
  assert.equal((await fetched(lan, "/", { Host: "evil.example" })).status, 403, "a name that resolves to this machine is not its own");
});

test("what keeps it from starting is named, with what to do", STORY, async (t) => {
  const bin = process.env.CHORUS_BIN;
  const ends = async (pattern, { args = [], cwd = folder, env = {} }) => {
    const server = new Process(bin, ["dev", ...args], { cwd, env: { ...process.env, ...env } });
    await assert.rejects(server.start(/chorus is at/, START_MS), pattern);
    assert.equal(await server.ended, 1);
  };
  const empty = await mkdtemp(join(tmpdir(), "chorus-none-"));
  t.after(() => rm(empty, { recursive: true, force: true }));
  await ends(/there is no project in .* or above: `npm create chorus-rooms` makes one/, { cwd: empty });
  await writeFile(join(empty, "package.json"), "{}");
  await ends(/has no folder rooms\/: put a room into rooms\/<kind>\/index\.js/, { cwd: empty });
  await mkdir(join(empty, "rooms"));
  await ends(/chorus-rooms, which builds the rooms, is not installed: run `npm install/, { cwd: empty });
  await ends(/there is no node in PATH: rooms are built by Node\.js 20 or newer; install it/, { args: ["--port", "0"], env: { PATH: "/nowhere" } });
  await ends(/--web nowhere: there is no such folder/, { args: ["--web", "nowhere"] });
  const taken = createServer();
  await once(taken.listen(0, "127.0.0.1"), "listening");
  t.after(() => taken.close());
  await ends(/port \d+ is in use, maybe by another chorus: stop that one, or serve on another port by `--port N`/, { args: ["--port", String(taken.address().port)] });
});
