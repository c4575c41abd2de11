// The container image, unpacked as a container's engine would and run with nothing but its own files: a game is played on it. Needs the chorus
// binary, the guests' components, and Debian.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Process } from "../../chorus/tests/process.mjs";
import { Chorus } from "../../clients/js/chorus.js";
import { image, packagesOf } from "../../scripts/package/image.mjs";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const { WebSocket } = createRequire(join(REPOSITORY, "chorus/tests/package.json"))("ws");
const KINDS = ["lobby", "tic-tac-toe"];
const USER = 65_532;
/** Of a start that compiles two components, and of a game. */
const START_MS = 120_000, GAME_MS = 60_000, STOP_MS = 20_000;
const OF = { name: "chorus", version: "1.2.3", architecture: "amd64", revision: "0123abc", license: "Apache-2.0", seconds: 1_700_000_000 };

const scratch = mkdtempSync(join(tmpdir(), "chorus-image-"));
const layout = join(scratch, "layout"), rootfs = join(scratch, "rootfs");
let config;
after(() => rmSync(scratch, { recursive: true, force: true }));

before(() => {
  assert.ok(process.env.CHORUS_BIN, "CHORUS_BIN must name the chorus binary");
  const program = join(scratch, "chorus");
  succeeds("strip", "--strip-debug", "-o", program, process.env.CHORUS_BIN);
  writeFileSync(join(scratch, "chorus.oci.tar"), image({ program, ...OF }).archive);
  for (const folder of [layout, rootfs]) mkdirSync(folder);
  succeeds("tar", "--extract", "--file", join(scratch, "chorus.oci.tar"), "--directory", layout);
  const { manifests: [{ digest }] } = blobAt("index.json");
  const manifest = blob(digest);
  config = blob(manifest.config.digest);
  for (const layer of manifest.layers) {
    blob(layer.digest, layer.size);
    succeeds("tar", "--extract", "--gzip", "--file", pathOf(layer.digest), "--directory", rootfs);
  }
});

test("the same program gives the same image, byte for byte", () => {
  const program = "/usr/bin/env";
  const [one, other] = [1, 2].map(() => image({ program, ...OF }));
  assert.equal(one.digest, other.digest);
  assert.ok(one.archive.equals(other.archive));
  assert.notEqual(image({ program, ...OF, version: "1.2.4" }).digest, one.digest);
});

test("the image has a user of its own, and of the system only what the program needs", () => {
  assert.equal(config.config.User, `${USER}:${USER}`);
  assert.deepEqual(config.config.Entrypoint, ["/usr/local/bin/chorus"]);
  assert.deepEqual(packagesOf(join(scratch, "chorus")).map(({ name }) => name).filter((name) => !["libgcc-s1", "zlib1g"].includes(name)), ["ca-certificates", "libc6"]);
  assert.match(readFileSync(join(rootfs, "etc/ssl/certs/ca-certificates.crt"), "utf8"), /^-----BEGIN CERTIFICATE-----/);
  const programs = readdirSync(rootfs, { recursive: true, withFileTypes: true }).filter((file) => file.isFile() && !/\.so/.test(file.name))
    .filter((file) => statSync(join(file.parentPath ?? file.path, file.name)).mode & 0o111).map(({ name }) => name);
  assert.deepEqual(programs, ["chorus"]);
});

test("two players play a game on the image, as its user", async () => {
  addGuests(join(rootfs, "srv/guests"));
  const [program, ...first] = inImage();
  const isRooted = !first.includes("--library-path");
  const env = Object.fromEntries(config.config.Env.map((one) => one.split(/=(.*)/s)));
  if (!isRooted) Object.assign(env, { CHORUS_DATA: join(scratch, "data"), CHORUS_CACHE: join(scratch, "cache") });
  const server = new Process(program, [...first, "serve", "--port", "0", isRooted ? "/srv/guests" : join(rootfs, "srv/guests")], { env });
  const clients = [];
  try {
    const [url] = await server.start(/http:\/\/127\.0\.0\.1:\d+/, START_MS);
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    clients.push(...["Ana", "Ben"].map((name) => new Chorus(`${url.replace("http", "ws")}/ws`, { name, WebSocket, storage: null })));
    for (const client of clients) client.connect();
    const rooms = await Promise.all(clients.map((client) => client.joinOrCreate("tic-tac-toe", {}, { signal: AbortSignal.timeout(GAME_MS) })));
    await played(rooms);
    if (isRooted) assert.equal(statSync(join(rootfs, "data/token")).uid, USER);
    assert.equal(await server.interrupt("SIGTERM", STOP_MS), 0);
  } finally {
    for (const client of clients) client.close();
    if (server.running) await server.kill9();
  }
});

/** Both take the next free cell in turn, with which the first one has a diagonal at the seventh. Resolves with the winner. */
async function played(rooms) {
  const [{ view: { turn: first } }] = rooms;
  for (let cell = 0; cell < 7; cell++) {
    await rooms.find(({ view }) => view.you === (first + cell) % 2).send("move", { cell });
  }
  await Promise.all(rooms.map((room) => until(room, ({ winner }) => winner !== null)));
  assert.equal(rooms[0].view.winner, first);
}

/** Resolves when a view of the room holds. */
function until(room, holds) {
  return new Promise((resolve) => {
    const check = (view) => { if (holds(view)) resolve(); };
    room.onView(check);
    check(room.view);
  });
}

/** How a program of the image is started: in its own root where that is allowed, else by its own loader. */
function inImage() {
  if (process.getuid() === 0) return ["/usr/sbin/chroot", `--userspec=${USER}:${USER}`, rootfs, ...config.config.Entrypoint];
  const loader = join(rootfs, "lib64/ld-linux-x86-64.so.2");
  chmodSync(loader, 0o755);
  return [loader, "--library-path", join(rootfs, "lib/x86_64-linux-gnu"), join(rootfs, config.config.Entrypoint[0])];
}

function addGuests(to) {
  const from = join(REPOSITORY, "guests/dist");
  const manifest = JSON.parse(readFileSync(join(from, "manifest.json"), "utf8"));
  mkdirSync(to, { recursive: true });
  for (const kind of KINDS) cpSync(join(from, manifest[kind].file), join(to, manifest[kind].file));
  writeFileSync(join(to, "manifest.json"), JSON.stringify(Object.fromEntries(KINDS.map((kind) => [kind, manifest[kind]]))));
}

/** The value of a blob, whose name is its hash. `size`: of a blob that has no value. */
function blob(digest, size) {
  const bytes = readFileSync(pathOf(digest));
  assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, digest);
  if (size === undefined) return JSON.parse(bytes);
  assert.equal(bytes.length, size);
  return undefined;
}

function blobAt(path) { return JSON.parse(readFileSync(join(layout, path), "utf8")); }
function pathOf(digest) { return join(layout, "blobs/sha256", digest.slice("sha256:".length)); }

function succeeds(program, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(status, 0, error?.message ?? `${stdout}${stderr}`);
}
