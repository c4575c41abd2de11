// The commands, as an author runs them in a project of their own.

import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { chorus, project, roomOf, write } from "./project.mjs";

const LAUNCHER = fileURLToPath(new URL("../bin/chorus.mjs", import.meta.url));
const COUNTER = roomOf("state = { n: 0 }; messages = { add: (_, data) => {\n if (!Number.isInteger(data)) this.refuse('a number');\n return (this.state.n += data); } };");
const BROKEN = COUNTER.replace("return (", "if (data > 5) null.x;\n return (");
const TEST = `import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoom, play } from "chorus-rooms/test";
play("counter", { messages: { add: (random) => random.int(10) }, invariants: { "it does not fall": ({ state }, before) => state.n >= (before?.state.n ?? 0) } });
test("it counts", async () => {
  const room = await createRoom("counter");
  const ana = await room.join("Ana");
  assert.equal(await ana.send("add", 2), 2);
});
`;

test("chorus test runs the tests of a project, and plays the rooms that none declares", () => {
  const folder = project({ "rooms/counter/index.js": COUNTER, "rooms/other/index.js": roomOf(""), "test/counter.test.js": TEST });
  const { status, stdout } = chorus(folder, "test", "--runs", "20", "--seed", "3");
  assert.equal(status, 0, stdout);
  assert.match(stdout, /✔ random play of counter[^]*counter: 20 runs, \d+ steps, seed 3[^]*✔ it counts[^]*✔ random play of other[^]*other: 20 runs/);
  assert.equal(stdout.match(/random play of counter/g).length, 1);
  const only = chorus(folder, "test", "--only", "it counts");
  assert.equal(only.status, 0);
  assert.match(only.stdout, /ℹ pass 1\n/);
});

test("a failure has the author's file and line, a short story, and the command that plays it again", () => {
  const folder = project({ "rooms/counter/index.js": BROKEN, "test/counter.test.js": TEST });
  const { status, stdout } = chorus(folder, "test", "--runs", "50", "--seed", "3");
  assert.equal(status, 1);
  assert.match(stdout, /counter, run \d+: messages\.add threw TypeError: [^]*at add \(rooms\/counter\/index\.js:6:/);
  assert.match(stdout, /The shortest way there: 2 steps of \d+/);
  assert.match(stdout, /test\("messages\.add does not fail", async \(\) => \{\n +const room = await createRoom\("counter"\);\n +const ana = await room\.join\("Ana"\);\n +await ana\.send\("add", \d+\);\n +\}\);/);
  const [, again] = /Again: chorus (test --runs \d+ --seed 3)/.exec(stdout);
  const second = chorus(folder, ...again.split(" "));
  const story = (text) => /test\("messages[^]*?\n +\}\);/.exec(text)[0];
  assert.equal(story(second.stdout), story(stdout), "the same seed plays the same");
});

/** The standard output, which is JSON alone. */
const linesOf = ({ stdout }) => stdout.trim().split("\n").map((line) => JSON.parse(line));

test("with --json, chorus test writes a line for each test, and one with their counts", () => {
  const broken = TEST + 'test.skip("later", () => {});\ntest("it is odd", () => { console.log("a note"); assert.equal(2, 1); });\n';
  const folder = project({ "rooms/counter/index.js": COUNTER, "rooms/other/index.js": roomOf(""), "test/counter.test.js": broken });
  const result = chorus(folder, "test", "--runs", "5", "--json");
  assert.equal(result.status, 1, result.output);
  const lines = linesOf(result), end = lines.pop();
  assert.deepEqual(end, { ok: false, passed: 3, failed: 1, skipped: 1 });
  assert.deepEqual(lines.map(({ name, ok }) => [name, ok]), [["random play of counter", true], ["it counts", true], ["later", true], ["it is odd", false], ["random play of other", true]]);
  const { file, line, error } = lines[3];
  assert.deepEqual([file, line], ["test/counter.test.js", 11]);
  assert.match(error, /2 !== 1/);
  assert.doesNotMatch(error, /node:internal/);
  assert.match(result.stderr, /a note/);
  const only = linesOf(chorus(folder, "test", "--only", "it counts", "--json"));
  assert.deepEqual(only.map(({ name, passed }) => name ?? passed), ["it counts", 1]);
});

test("with --json, a file that cannot run, a suite whose hook throws and a part of a test are lines with their reasons", () => {
  const parts = `import { before, describe, it, test } from "node:test";
describe("a suite", () => { before(() => { throw new Error("no table"); }); it("part", () => {}); });
test("whole", async (t) => { await t.test("half", () => { throw new Error("cut"); }); });
`;
  const folder = project({ "rooms/counter/index.js": COUNTER, "test/a.test.js": parts, "test/b.test.js": 'import "./nowhere.js";', "test/c.test.js": "process.exit(3);" });
  const { status, stdout } = chorus(folder, "test", "--json", "--runs", "1");
  assert.equal(status, 1);
  const lines = linesOf({ stdout }), end = lines.pop();
  const errorOf = (wanted) => lines.find(({ name }) => name === wanted).error;
  assert.match(errorOf("a suite"), /no table/);
  assert.match(errorOf("half"), /cut/);
  assert.equal(lines.some(({ name }) => name === "whole"), false, "its part has failed");
  assert.match(errorOf("test/b.test.js"), /Cannot find module [^]*nowhere\.js/);
  assert.match(errorOf("test/c.test.js"), /the exit code 3/);
  assert.deepEqual([end.ok, end.failed], [false, lines.filter(({ ok }) => !ok).length]);
});

const TYPED = `import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoom, play, type Snapshot } from "chorus-rooms/test";
import { more, type State } from "../shared/counter.ts";

interface Given { n: number }

play("counter", { messages: { add: (random) => random.int(10) }, invariants: { "it is small": ({ state }: Snapshot<State>) => state.n < 1e9 } });
test("it counts by types", async () => {
  const room = await createRoom<State>("counter");
  const ana = await room.join("Ana");
  assert.equal(await ana.send("add", (<Given>{ n: 2 }).n), 2);
  assert.ok(more(1 as number) === 3);
});
`;
const SHARED = `export interface State { n: number }\n\n\nexport function more(by: number): number { return by + 1; }\n`;

test("tests in TypeScript run on every Node, and so do tests that import it", () => {
  const plain = 'import assert from "node:assert/strict";\nimport { test } from "node:test";\nimport { more } from "../shared/counter.ts";\ntest("it imports", () => assert.equal(more(1), 2));\n';
  const enums = 'import { test } from "node:test";\nimport { State } from "../shared/counter";\n\nenum Side { left, right }\ntest("an enum", () => {\n  const state: State = { n: 1 };\n  if (Side[1] === "right" && state.n) throw new Error("line 7");\n});\n';
  const folder = project({ "rooms/counter/index.js": COUNTER, "shared/counter.ts": SHARED, "test/typed.test.ts": TYPED, "test/plain.test.js": plain, "test/enums.test.mts": enums, "test/old.spec.tsx": "" });
  const result = chorus(folder, "test", "--runs", "5", "--json");
  const lines = linesOf(result), end = lines.pop();
  assert.deepEqual(lines.map(({ file, line, name, ok }) => [file, line, name, ok]), [
    ["test/enums.test.mts", undefined, "an enum", false], ["test/plain.test.js", 4, "it imports", true],
    [undefined, undefined, "random play of counter", true], ["test/typed.test.ts", 9, "it counts by types", false],
  ], "random play has the plan of the file: there is none without");
  assert.match(lines[0].error, /line 7[^]*test\/enums\.test\.mts:7:/);
  assert.match(lines[3].error, /test\/typed\.test\.ts:13:10/);
  assert.deepEqual(end.warnings, ["test/old.spec.tsx is not run: a test is a file *.test.js, .mjs, .cjs, .ts or .mts"]);
  assert.match(result.stderr, /warning: test\/old\.spec\.tsx is not run/);
  assert.deepEqual(linesOf(chorus(folder, "test", "--only", "it counts by", "--json")).map(({ name }) => name), ["it counts by types", undefined]);
  const broken = project({ "rooms/counter/index.js": COUNTER, "shared/counter.ts": SHARED, "test/typed.test.ts": `${TYPED}const x: = 3;\n` });
  const [line] = linesOf(chorus(broken, "test", "test/typed.test.ts", "--json"));
  assert.deepEqual([line.name, line.ok], ["test/typed.test.ts", false]);
  assert.match(line.error, /typed\.test\.ts:15:10/);
});

test("with --json, what keeps a command from working is JSON too", () => {
  const unbuilt = project({ "rooms/counter/index.js": COUNTER.replace("this.state.n +=", "setTimeout +=") });
  const [{ kind, ok, errors: [{ file, line, message }] }, end] = linesOf(chorus(unbuilt, "test", "--json"));
  assert.deepEqual([kind, ok, file, line, end.ok], ["counter", false, "rooms/counter/index.js", 6, false]);
  assert.match(message, /a room has no `setTimeout`/);
  const empty = project({});
  for (const [command, words] of [["test", /there is no folder rooms/], ["check", /there is no folder rooms/], ["build", /there is no folder rooms/], ["bots", /one FILE is needed/], ["new", /the folder is missing/]]) {
    const [{ ok, error }] = linesOf(chorus(empty, command, "--json"));
    assert.equal(ok, false);
    assert.match(error, words);
  }
  assert.equal(chorus(empty, "build", "--json", "--background").stdout, "", "the lines of `chorus dev` are rooms alone");
  const { CHORUS_BIN, ...env } = process.env;
  const native = spawnSync(process.execPath, [LAUNCHER, "status", "--json"], { env: { ...env, CHORUS_BIN: join(empty, "nothing") }, encoding: "utf8" });
  assert.deepEqual(linesOf(native), [{ ok: false, error: `${join(empty, "nothing")} is not there: CHORUS_BIN names the native program` }]);
});

test("a room that does not build is reported before any test runs", () => {
  const folder = project({ "rooms/counter/index.js": COUNTER.replace("this.state.n +=", "setTimeout +="), "test/counter.test.js": TEST });
  for (const command of ["test", "build"]) {
    const { status, stdout, stderr } = chorus(folder, command);
    assert.equal(status, 1);
    assert.doesNotMatch(stdout, /counter|\.chorus/, "and there is no file of the others");
    assert.match(stderr, /counter: it does not build\n  rooms\/counter\/index\.js:6:\d+: a room has no `setTimeout`; use instead:/);
  }
});

test("chorus build writes components, and builds only what has changed", () => {
  const folder = project({ "rooms/counter/index.js": COUNTER });
  assert.match(chorus(folder, "build", "--out", "out").stdout, /^counter +\d\.\d\d MB +\d/);
  assert.match(chorus(folder, "build", "--out", "out").stdout, /^counter +\d\.\d\d MB +unchanged/);
  const { stdout } = chorus(folder, "build", "--out", "out", "--json");
  const [room, lobby, bundle] = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual([room, lobby].map(({ kind, ok }) => [kind, ok]).sort(), [["counter", true], ["lobby", true]]);
  assert.ok(bundle.ok && bundle.bundle.startsWith("out/") && bundle.bytes > room.bytes + lobby.bytes, JSON.stringify(bundle));
  const one = chorus(folder, "build", "counter", "--json").stdout.trim().split("\n");
  assert.equal(one.length, 1, "one room alone is no bundle");
});

test("chorus build --lobby adds the default lobby, which has the kinds' offers, unless the project has its own", () => {
  const folder = project({ "rooms/counter/index.js": COUNTER });
  const built = (...args) => chorus(folder, "build", "--lobby", "--background", "--json", ...args).stdout.trim().split("\n").map((line) => JSON.parse(line));
  const kinds = (reports) => reports.map(({ kind, ok }) => [kind, ok]).sort();
  const first = built("--first", "counter");
  assert.deepEqual(kinds(first), [["counter", true], ["lobby", true]]);
  const lobbyOf = (reports) => reports.find(({ kind }) => kind === "lobby").digest;
  write(folder, { "rooms/counter/index.js": COUNTER.replace("state =", "static lobby = { match: ['level'] }; state =") });
  const second = built();
  assert.notEqual(lobbyOf(second), lobbyOf(first), "it is configured by the kinds");
  write(folder, { "rooms/lobby/index.js": roomOf("onJoin() {}") });
  const own = built();
  assert.deepEqual(kinds(own), [["counter", true], ["lobby", true]]);
  assert.notEqual(lobbyOf(own), lobbyOf(second));
});

test("a room that needs options says how to give them", () => {
  const folder = project({ "rooms/table/index.js": roomOf("onCreate({ seats }) { if (!seats) throw new Error('seats'); }") });
  const { status, stdout } = chorus(folder, "test");
  assert.equal(status, 1);
  assert.match(stdout, /onCreate threw Error: seats[^]*it was created without options; with others: play\("table", \{ create: … \}\)/);
});

test("wrong arguments and a missing folder are named", () => {
  const folder = project({});
  for (const [args, status, words] of [
    [["test", "--run", "3"], 2, /Unknown option '--run'/], [["test", "--runs", "many"], 2, /--runs many: not a whole number/],
    [["test"], 1, /there is no folder rooms\/ in .* or above; name it by --rooms DIR/], [["build", "--rooms", "nowhere"], 1, /nowhere is no folder/],
    [["bots"], 2, /one FILE is needed/], [["bots", "no.js"], 2, /there is no file no\.js/], [["check", "--options", "{"], 2, /--options is no JSON/],
  ]) {
    const result = chorus(folder, ...args);
    assert.equal(result.status, status, result.output);
    assert.match(result.output, words);
  }
  for (const command of ["test", "check", "bots", "build"]) assert.match(chorus(folder, command, "--help").stdout, new RegExp(`^Usage: chorus ${command}`));
});

test("all other commands are the native program's: its arguments, its signals, its exit code", { timeout: 60_000 }, async () => {
  const folder = project({ native: '#!/bin/sh\ntrap "echo stopped; exit 7" TERM\necho "native $*"\nwhile [ "$1" = wait ]; do sleep 0.05; done\nexit 3\n' });
  chmodSync(join(folder, "native"), 0o755);
  const env = { ...process.env, CHORUS_BIN: join(folder, "native") };
  const { status, stdout } = spawnSync(process.execPath, [LAUNCHER, "dev", "--port", "1"], { env, encoding: "utf8" });
  assert.deepEqual([status, stdout], [3, "native dev --port 1\n"]);
  assert.match(spawnSync(process.execPath, [LAUNCHER], { env, encoding: "utf8" }).stdout, /^Usage: chorus <command>[^]*\nnative --help\n$/);
  const child = spawn(process.execPath, [LAUNCHER, "wait"], { env });
  let output = "";
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.stdout.on("data", (text) => { if ((output += text).includes("native")) child.kill("SIGTERM"); });
  assert.equal(await ended, 7);
  assert.match(output, /stopped/);
});

test("under npm it ends with its parent, also with one that has ended before it could look", { timeout: 20_000 }, async (t) => {
  const folder = project({ native: '#!/bin/sh\ntrap "exit 0" TERM\necho native\nwhile :; do sleep 0.05; done\n' });
  chmodSync(join(folder, "native"), 0o755);
  const env = { ...process.env, CHORUS_BIN: join(folder, "native"), npm_command: "run-script", NODE: process.execPath, LAUNCHER };
  // What the shell of npm is when npm gets a signal: it ends, and its child does not get it.
  const later = '"$NODE" "$LAUNCHER" dev & wait', early = '(while kill -0 $$ 2>&-; do sleep 0.01; done; exec "$NODE" "$LAUNCHER" dev) &';
  for (const script of [later, early]) {
    // A session of its own, as from a terminal.
    const shell = spawn("sh", ["-c", script], { env, detached: true, stdio: ["ignore", "pipe", "inherit"] });
    const running = () => { try { return process.kill(-shell.pid, 0); } catch { return false; } };
    t.after(() => running() && process.kill(-shell.pid, "SIGKILL"));
    let output = "";
    shell.stdout.on("data", (text) => { if ((output += text).includes("native")) shell.kill("SIGTERM"); });
    await once(shell.stdout, "close");
    assert.equal(output.includes("native"), script === later);
  }
});

test("without a native program the command prints what to do on this platform", () => {
  const { CHORUS_BIN, ...env } = process.env;
  const on = (platform) => {
    const program = `Object.defineProperty(process, "platform", { value: "${platform}" }); process.argv.splice(1, 0, "chorus"); await import(${JSON.stringify(LAUNCHER)});`;
    return spawnSync(process.execPath, ["--input-type=module", "--eval", program, "dev"], { env, encoding: "utf8" });
  };
  for (const [platform, words] of [["darwin", /container/], ["linux", /container/], ["win32", /WSL2 \(wsl --install\)/]]) {
    const { status, stderr } = on(platform);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^chorus dev needs the native program, and there is none for ${platform} on \\w+[^]*${words.source}[^]*CHORUS_BIN`));
  }
  assert.match(spawnSync(process.execPath, [LAUNCHER], { env, encoding: "utf8" }).stdout, /^Usage: chorus <command>[^]*  test  /);
});
