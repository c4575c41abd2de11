// The packed packages, in an empty folder with nothing else: a room is built, tested, checked and served there. Needs the registry, or npm's
// cache, and the chorus binary.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, PHONE } from "../../chorus/tests/page/browser.mjs";
import { Registry } from "./registry.mjs";

/** More than three times what the three commands, types and tests take. */
const JOURNEY_MS = 120_000;
const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "chorus-packages-"));
const tarballs = join(scratch, "tarballs"), project = join(scratch, "game");
let registry;
after(() => {
  registry?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const { CHORUS_ROOMS, CHORUS_TEST_DIST, CHORUS_BIN, NODE_TEST_CONTEXT, ...environment } = process.env;

async function run(cwd, program, ...args) {
  const child = spawn(program, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", output: "" };
  child.stdout.on("data", (text) => { texts.stdout += text; texts.output += text; });
  child.stderr.on("data", (text) => { texts.output += text; });
  const [status] = await once(child, "close");
  return { status, ...texts };
}

async function succeeds(...given) {
  const result = await run(...given);
  assert.equal(result.status, 0, result.output);
  return result.stdout;
}

const files = {
  "package.json": '{ "private": true, "type": "module" }',
  "rooms/counter/index.ts": `import { Room } from "chorus";
export default class Counter extends Room<{ count: number }> {
  onCreate() { this.state = { count: 0 }; }
  messages = {
    add: (player: import("chorus").Player, data: any) => {
      if (data !== 1 && data !== 2) this.refuse("1 or 2");
      this.state.count = (this.state.count + data) % 10;
      return this.state.count;
    },
  };
}
`,
  "test/counter.test.js": `import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoom, play } from "chorus-rooms/test";
test("it counts", async () => {
  const room = await createRoom("counter");
  const ana = await room.join("Ana");
  assert.equal(await ana.send("add", 2), 2);
});
play("counter", { messages: { add: (random) => random.between(1, 2) }, invariants: { "below ten": ({ state }) => state.count < 10 } });
`,
  "client.mjs": 'import { Chorus } from "chorus-client";\nconsole.log(typeof Chorus);\n',
  "tsconfig.json": '{ "compilerOptions": { "strict": true, "noEmit": true, "target": "es2024", "lib": ["es2024"], "module": "esnext", "moduleResolution": "bundler", "types": ["chorus-rooms/types"] }, "include": ["rooms/*/*.ts"] }',
};

before(async () => {
  assert.ok(CHORUS_BIN, "CHORUS_BIN must name the chorus binary");
  await succeeds(REPOSITORY, process.execPath, "scripts/package.mjs", "--out", tarballs, "--binary", CHORUS_BIN);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), text);
  }
  registry = await Registry.of(tarballs);
  await succeeds(project, "npm", "install", `--registry=${registry.url}`, "--prefer-offline", "--no-audit", "--no-fund", "--silent", "chorus-rooms", "chorus-client");
});

const chorus = (...args) => succeeds(project, "npx", "--no-install", "chorus-rooms", ...args);

test("the command builds, tests and checks a room of a project that has nothing but the packages", async () => {
  assert.match(await chorus("build"), /^counter +\d\.\d\d MB/);
  const tests = await chorus("test", "--runs", "30");
  assert.match(tests, /✔ it counts/);
  assert.match(tests, /✔ random play of counter/);
  assert.match(await chorus("check"), /^counter: ok, \d+ records\n$/);
  assert.equal(await succeeds(project, "node", "client.mjs"), "function\n");
});

test("the native program comes with the package for this platform, and without it the command prints what to do", async () => {
  const { version } = installed("chorus-rooms");
  assert.equal(await chorus("--version"), `chorus ${version}\n`);
  const native = nativeFolder();
  assert.match(relative(project, native), /^node_modules/);
  renameSync(native, `${native}.away`);
  try {
    const { status, output } = await run(project, "npx", "--no-install", "chorus-rooms", "dev");
    assert.deepEqual([status, /needs the native program/.test(output), /--include=optional/.test(output)], [1, true, true], output);
  } finally {
    renameSync(`${native}.away`, native);
  }
});

test("the types of the SDK come with the package", async () => {
  const tsc = join(REPOSITORY, "guests/node_modules/typescript/bin/tsc");
  await succeeds(project, process.execPath, tsc, "--project", project);
  writeFileSync(join(project, "rooms/counter/wrong.ts"), 'import { Room } from "chorus";\nexport class Wrong extends Room { onJoin(player: number) {} }\n');
  const { output } = await run(project, process.execPath, tsc, "--project", project);
  rmSync(join(project, "rooms/counter/wrong.ts"));
  assert.match(output, /wrong\.ts\(2,\d+\): error TS2416/);
});

test("a component built by the package is that of this repository", async () => {
  const own = join(scratch, "own");
  await succeeds(project, process.execPath, join(REPOSITORY, "packages/chorus-rooms/bin/chorus.mjs"), "build", "--out", own);
  await chorus("build");
  const digest = (folder) => JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")).counter.digest;
  assert.equal(digest(join(project, "rooms/dist")), digest(own));
});

/** A command in a terminal: Ctrl-C is for all of its processes. */
class Terminal {
  #text = "";

  constructor(cwd, program, ...args) {
    this.child = spawn(program, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
    this.closed = once(this.child, "close");
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (text) => { this.#text += text; });
  }

  /** Resolves with the match, or rejects with all output at the command's end. */
  async prints(pattern) {
    for (let found; ; ) {
      if ((found = pattern.exec(this.#text))) return found;
      await Promise.race([once(this.child.stdout, "data"), this.closed.then(() => assert.fail(this.#text))]);
    }
  }

  async interrupt() {
    if (this.child.exitCode === null) process.kill(-this.child.pid, "SIGINT");
    await this.closed;
  }
}

/** A player's page. Resolves when it is in a room. */
async function playing(browser, url, name, viewport) {
  const page = await (await browser.newContext({ viewport })).newPage();
  await page.goto(url);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await page.locator("#room").waitFor();
  return page;
}

test("from an empty folder to two browsers in one game by three commands, and its types and tests pass", { timeout: JOURNEY_MS }, async (t) => {
  const empty = join(scratch, "empty"), game = join(empty, "my-game");
  mkdirSync(empty);
  const begun = performance.now(), times = [];
  const done = (what) => times.push(`${what} ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  // With a cache of its own: npm keeps what it has run, and would run the command of an earlier test.
  const npm = [`--registry=${registry.url}`, "--no-audit", "--no-fund"];
  const created = await succeeds(empty, "npm", "create", ...npm, `--cache=${join(scratch, "cache")}`, "--yes", "chorus-rooms", "my-game", "--", "--template", "tic-tac-toe");
  assert.match(created, /  cd my-game\n  npm install\n  npm run dev\n/);
  done("created");
  await succeeds(game, "npm", "install", ...npm, "--prefer-offline");
  done("installed");
  const dev = new Terminal(game, "npm", "run", "dev", "--", "--port", "0");
  const browser = await launch();
  try {
    const [url] = await dev.prints(/http:\/\/127\.0\.0\.1:\d+\//);
    done("served");
    const pages = [await playing(browser, url, "Ana", { width: 1200, height: 800 }), await playing(browser, url, "Ben", PHONE)];
    await Promise.race(pages.map((page) => page.locator("#status", { hasText: "Your turn" }).waitFor()));
    done("two browsers in one game");
  } finally {
    await browser.close();
    await dev.interrupt();
  }
  t.diagnostic(times.join(", "));
  await succeeds(game, "npm", "run", "types");
  assert.match(await succeeds(game, "npm", "test", "--", "--runs", "20"), /✔ random play of tic-tac-toe/);
  await succeeds(game, "npm", "run", "build");
  const production = new Terminal(game, "npm", "start", "--", "--port", "0");
  try {
    const [url] = await production.prints(/http:\/\/127\.0\.0\.1:\d+/);
    assert.deepEqual(await Promise.all(["/readyz", "/", "/dev"].map(async (path) => (await fetch(url + path)).status)), [200, 200, 404]);
  } finally {
    await production.interrupt();
  }
});

test("what they need is pinned, without a registry's address, and nothing of this machine is in them", () => {
  const at = join(project, "node_modules/chorus-rooms");
  const { packages } = JSON.parse(readFileSync(join(at, "npm-shrinkwrap.json"), "utf8"));
  for (const [name, { version, integrity, resolved }] of Object.entries(packages)) {
    assert.ok(name === "" || (version && integrity && resolved === undefined), name);
  }
  for (const name of ["chorus-rooms", "chorus-client"]) {
    const folder = join(project, "node_modules", name);
    assert.equal(installed(name).private, undefined);
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath ?? file.path, file.name);
      if (file.isFile() && !path.slice(folder.length).includes("node_modules")) assert.ok(!readFileSync(path).includes(REPOSITORY), path);
    }
  }
});

test("the checksums are those of all files, and the archive has the program of the npm package", async () => {
  const files = readdirSync(tarballs).filter((name) => name !== "SHA256SUMS").sort();
  const sums = readFileSync(join(tarballs, "SHA256SUMS"), "utf8").trim().split("\n").map((line) => line.split("  "));
  assert.deepEqual(sums.map(([, name]) => name), files);
  await succeeds(tarballs, "sha256sum", "--check", "--quiet", "SHA256SUMS");
  const archive = files.find((name) => name.endsWith(".tar.gz"));
  await succeeds(scratch, "tar", "--extract", "--gzip", "--file", join(tarballs, archive));
  assert.ok(readFileSync(join(scratch, "chorus")).equals(readFileSync(join(nativeFolder(), "chorus"))));
  assert.match(await succeeds(scratch, join(scratch, "chorus"), "--version"), /^chorus \d/);
});

test("the bill of materials has each part once, with what it needs", () => {
  const { specVersion, serialNumber, metadata, components, dependencies } = JSON.parse(readFileSync(join(tarballs, readdirSync(tarballs).find((name) => name.endsWith(".cdx.json"))), "utf8"));
  assert.deepEqual([specVersion, /^urn:uuid:[0-9a-f-]{36}$/.test(serialNumber)], ["1.6", true]);
  const refs = components.map((component) => component["bom-ref"]);
  assert.equal(new Set(refs).size, refs.length);
  const known = new Set([...refs, metadata.component["bom-ref"]]);
  for (const { ref, dependsOn } of dependencies) for (const one of [ref, ...dependsOn]) assert.ok(known.has(one), one);
  for (const { name, purl, licenses, hashes } of components) {
    if (/^pkg:(cargo|npm)\/(?!chorus-rooms)/.test(purl)) assert.ok(licenses?.length === 1 && hashes?.length === 1, name);
  }
  const reached = new Set(), open = [metadata.component["bom-ref"]], needs = new Map(dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  for (let ref; (ref = open.pop()) !== undefined;) if (!reached.has(ref)) { reached.add(ref); open.push(...(needs.get(ref) ?? [])); }
  assert.deepEqual(refs.filter((ref) => !reached.has(ref)), []);
  const of = (name) => components.find((component) => component.name === name)?.scope;
  for (const name of ["tokio", "wasmtime", "rolldown"]) assert.equal(of(name), "required", name);
  for (const name of ["librdkafka", "sqlite", "quickjs-ng", "libc6"]) assert.ok(components.some((component) => component.name === name), name);
  assert.equal(of("autocfg"), "excluded");
  // Of the simulator and of tests alone.
  assert.equal(components.some(({ name }) => name === "chorus-sim" || name === "wat"), false);
});

function installed(name) { return JSON.parse(readFileSync(join(project, "node_modules", name, "package.json"), "utf8")); }

/** The folder from which the installed command takes its native program. */
function nativeFolder() {
  const from = createRequire(join(project, "node_modules/chorus-rooms/package.json"));
  return dirname(from.resolve(`chorus-rooms-${process.platform}-${process.arch}/package.json`));
}
