// The command refuses what it cannot create; each template is a project whose types are right and whose rooms withstand random play; and its types
// find what is wrong in a room, a page or a test.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { TEMPLATES } from "../src/create.mjs";
import { installedIn } from "./installed.mjs";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const TSC = join(REPOSITORY, "guests/node_modules/typescript/bin/tsc");
const scratch = mkdtempSync(join(tmpdir(), "chorus-create-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

function node(cwd, script, ...args) {
  const { CHORUS_ROOMS, CHORUS_TEST_DIST, NODE_TEST_CONTEXT, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(REPOSITORY, script), ...args], { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return { status, stdout, stderr, output: stdout + stderr };
}

const create = (...args) => node(scratch, "packages/create-chorus-rooms/bin/create.mjs", ...args);
/** `npm run types` in a project. */
function types(cwd) {
  const script = JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")).scripts.types;
  mkdirSync(join(cwd, "node_modules/.bin"), { recursive: true });
  if (!existsSync(join(cwd, "node_modules/.bin/tsc"))) symlinkSync(TSC, join(cwd, "node_modules/.bin/tsc"));
  const { status, stdout, stderr } = spawnSync(script, { cwd, shell: true, env: { ...process.env, PATH: `${join(cwd, "node_modules/.bin")}:${process.env.PATH}` }, encoding: "utf8" });
  return { status, output: stdout + stderr };
}
const chorus = (cwd, ...args) => node(cwd, "packages/chorus-rooms/bin/chorus.mjs", ...args);

test("the next three commands are printed, and without a terminal the template is the empty one", () => {
  const { status, stdout } = create("plain");
  assert.equal(status, 0);
  assert.match(stdout, /template empty are in plain\. Next:\n\n  cd plain\n  npm install\n  npm run dev\n/);
  const { name, dependencies } = JSON.parse(readFileSync(join(scratch, "plain/package.json"), "utf8"));
  assert.deepEqual([name, Object.keys(dependencies)], ["plain", ["chorus-rooms"]]);
  assert.ok(existsSync(join(scratch, "plain/.gitignore")));
  assert.match(readFileSync(join(scratch, "plain/AGENTS.md"), "utf8"), /^# Rooms of chorus\n/);
});

test("the command of a project creates the same", () => {
  assert.equal(create("one", "--template", "quiz").status, 0);
  const { status, output } = chorus(scratch, "new", "two", "--template=quiz");
  assert.equal(status, 0, output);
  const files = (folder) => readdirSync(join(scratch, folder), { recursive: true }).sort();
  assert.deepEqual(files("one"), files("two"));
});

test("what cannot be created is refused with what to do, and nothing is written", () => {
  mkdirSync(join(scratch, "full"));
  writeFileSync(join(scratch, "full/notes.txt"), "mine");
  writeFileSync(join(scratch, "file"), "");
  for (const [args, expected, code] of [
    [["full"], /full is not empty \(it has notes\.txt\): name another one, or empty it/, 1],
    [["file"], /file is a file: name another folder/, 1],
    [["My Game"], /use a-z, 0-9 and -, as in my-game/, 1],
    [["node_modules"], /as in my-game/, 1],
    [["game", "--template", "chess"], /there is no template "chess"\. Name one of these: empty, tic-tac-toe, chat, quiz, cards/, 1],
    [["game", "--template", "constructor"], /there is no template/, 1],
    [["game", "--template"], /--template needs a name\.\nTemplates:\n  empty /, 2],
    [[], /the folder is missing: npm create chorus-rooms my-game/, 2],
    [["one-game", "other-game"], /one folder is created/, 2],
    [["game", "--speed"], /--speed/, 2],
  ]) {
    const before = readdirSync(scratch);
    const { status, stderr } = create(...args);
    assert.deepEqual([status, expected.test(stderr)], [code, true], stderr);
    assert.deepEqual(readdirSync(scratch), before);
  }
  assert.deepEqual(readdirSync(join(scratch, "full")), ["notes.txt"]);
});

test("with --json, what was created is a line, and so is what was refused", () => {
  const { status, stdout } = create("listed", "--template", "chat", "--json");
  assert.equal(status, 0);
  const { ok, folder, template, files } = JSON.parse(stdout);
  assert.deepEqual([ok, folder.endsWith("listed"), template, files.includes("rooms/chat/index.ts")], [true, true, "chat", true]);
  const again = create("listed", "--json");
  assert.equal(again.status, 1);
  assert.deepEqual(Object.entries(JSON.parse(again.stdout)).map(([key, value]) => [key, String(value).slice(0, 10)]), [["ok", "false"], ["error", "the folder"]]);
});

test("a folder that has no more than its history is empty, and a dot is the current one", () => {
  const folder = join(scratch, "cloned");
  mkdirSync(join(folder, ".git"), { recursive: true });
  const { status, stdout } = node(folder, "packages/create-chorus-rooms/bin/create.mjs", ".");
  assert.equal(status, 0);
  assert.match(stdout, /are in this folder\. Next:\n\n  npm install\n/);
});

for (const template of Object.keys(TEMPLATES)) {
  test(`the template ${template}: its types are right, and its stories and random play pass`, () => {
    const folder = join(scratch, `of-${template}`);
    assert.equal(create(`of-${template}`, "--template", template).status, 0);
    installedIn(folder);
    const { status: right, output: mistakes } = types(folder);
    assert.equal(right, 0, mistakes);
    const left = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile() && !(file.parentPath ?? file.path).includes("node_modules"));
    for (const file of left) assert.doesNotMatch(readFileSync(join(file.parentPath ?? file.path, file.name), "utf8"), /\{\{\w+\}\}/, file.name);
    const { status, output } = chorus(folder, "test", "--runs", "200");
    assert.equal(status, 0, output);
    assert.match(output, new RegExp(`✔ random play of ${TEMPLATES[template].kind}`));
  });
}

test("npm run types passes in a project without a test", () => {
  const folder = join(scratch, "untested");
  assert.equal(create("untested").status, 0);
  installedIn(folder);
  rmSync(join(folder, "test/counter.test.js"));
  const { status, output } = types(folder);
  assert.equal(status, 0, output);
});

/** By file: what is there, and the mistake in its place. */
const MISTAKES = {
  "rooms/tic-tac-toe/index.ts": [
    ["again: (player) =>", "agian: (player) =>"], ["cell = data?.cell", "cell = data?.field"], ['broadcast("left", { name:', 'broadcast("left", { nick:'],
    ['schedule.after(TURN_MS, "turn")', 'schedule.after(TURN_MS, "trun")'], ["      board, turn, endsAt,", "      bored: board, turn, endsAt,"], ["state.seats[this.#seatOf", "state.chairs[this.#seatOf"],
  ],
  "web/game.js": [
    ['send("again")', 'send("agian")'], ["{ cell: Number(", "{ cell: String("], ['room.on("left", ', 'room.on("gone", '], ["endsAt = view.endsAt", "endsAt = view.endAt"],
  ],
  "test/tic-tac-toe.test.js": [
    ['players[0].send("again")', 'players[0].send("agian")'], ['send("move", { cell: 4 })', 'send("move", { cell: "4" })'], ["room.state.winner, players", "room.state.victor, players"],
    ["random.int(9) })", "random.bool() })"],
  ],
};

for (const [path, mistakes] of Object.entries(MISTAKES)) {
  test(`npm run types names each wrong message, event, field and timer of ${path}`, () => {
    const folder = join(scratch, `mistaken-${path.replace(/\W.*/, "")}`);
    assert.equal(create(basename(folder), "--template", "tic-tac-toe").status, 0);
    installedIn(folder);
    const before = readFileSync(join(folder, path), "utf8");
    const after = mistakes.reduce((text, [right, wrong]) => (assert.ok(text.includes(right), right), text.replace(right, wrong)), before);
    writeFileSync(join(folder, path), after);
    const { status, output } = types(folder);
    assert.notEqual(status, 0, output);
    for (const [, wrong] of mistakes) {
      const line = after.slice(0, after.indexOf(wrong)).split("\n").length;
      assert.match(output, new RegExp(`^${path.replaceAll(".", "\\.")}\\(${line},\\d+\\): error TS`, "m"), `${wrong}, line ${line}:\n${output}`);
    }
  });
}
