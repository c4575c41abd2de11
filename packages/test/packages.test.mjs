// The packed packages, in an empty folder with nothing else: a room is built, tested and checked there. Needs the registry, or npm's cache.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "chorus-packages-"));
const tarballs = join(scratch, "tarballs"), project = join(scratch, "game");
after(() => rmSync(scratch, { recursive: true, force: true }));

function run(cwd, program, ...args) {
  const { CHORUS_ROOMS, CHORUS_TEST_DIST, CHORUS_BIN, NODE_TEST_CONTEXT, ...env } = process.env;
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: "utf8" });
  return { status, output: `${error?.message ?? ""}${stdout}${stderr}`, stdout };
}

function succeeds(...given) {
  const result = run(...given);
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

before(() => {
  succeeds(REPOSITORY, process.execPath, "scripts/package.mjs", "--out", tarballs);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), text);
  }
  const packed = readdirSync(tarballs).map((name) => join(tarballs, name));
  assert.equal(packed.length, 2);
  succeeds(project, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--silent", ...packed);
});

test("the command builds, tests and checks a room of a project that has nothing but the packages", () => {
  const chorus = (...args) => succeeds(project, "npx", "--no-install", "chorus-rooms", ...args);
  assert.match(chorus("build"), /^counter +\d\.\d\d MB/);
  const tests = chorus("test", "--runs", "30");
  assert.match(tests, /✔ it counts/);
  assert.match(tests, /✔ random play of counter/);
  assert.match(chorus("check"), /^counter: ok, \d+ records\n$/);
  assert.equal(succeeds(project, "node", "client.mjs"), "function\n");
  const { status, output } = run(project, "npx", "--no-install", "chorus", "dev");
  assert.deepEqual([status, /needs the native program/.test(output)], [1, true], output);
});

test("the types of the SDK come with the package", () => {
  const tsc = join(REPOSITORY, "guests/node_modules/typescript/bin/tsc");
  succeeds(project, process.execPath, tsc, "--project", project);
  writeFileSync(join(project, "rooms/counter/wrong.ts"), 'import { Room } from "chorus";\nexport class Wrong extends Room { onJoin(player: number) {} }\n');
  assert.match(run(project, process.execPath, tsc, "--project", project).output, /wrong\.ts\(2,\d+\): error TS2416/);
});

test("a component built by the package is that of this repository", () => {
  const own = join(scratch, "own");
  succeeds(project, process.execPath, join(REPOSITORY, "packages/chorus-rooms/bin/chorus.mjs"), "build", "--out", own);
  succeeds(project, "npx", "--no-install", "chorus-rooms", "build");
  const digest = (folder) => JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")).counter.digest;
  assert.equal(digest(join(project, "rooms/dist")), digest(own));
});

test("what they need is pinned, without a registry's address, and nothing of this machine is in them", () => {
  const at = join(project, "node_modules/chorus-rooms");
  const { packages } = JSON.parse(readFileSync(join(at, "npm-shrinkwrap.json"), "utf8"));
  for (const [name, { version, integrity, resolved }] of Object.entries(packages)) {
    assert.ok(name === "" || (version && integrity && resolved === undefined), name);
  }
  for (const name of ["chorus-rooms", "chorus-client"]) {
    const folder = join(project, "node_modules", name);
    assert.equal(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).private, undefined);
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath ?? file.path, file.name);
      if (file.isFile() && !path.slice(folder.length).includes("node_modules")) assert.ok(!readFileSync(path).includes(REPOSITORY), path);
    }
  }
});
