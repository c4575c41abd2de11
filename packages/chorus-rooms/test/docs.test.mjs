// The code in docs/testing.md, docs/tutorial.md, docs/author.md, docs/coming-from.md and the skill, run unchanged. docs/cookbook.md has
// a test of its own.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { createProject } from "../../create-chorus-rooms/src/create.mjs";
import { installedIn } from "../../create-chorus-rooms/test/installed.mjs";
import { runBots } from "../src/bots.mjs";
import { fakeSocket } from "./fake-socket.mjs";
import { blocksIn, filesIn, pageText } from "./pages.mjs";
import { chorus, project, write } from "./project.mjs";
import { removeFiles, templateOf } from "./tutorial.mjs";

const { "rooms/turns/index.js": turns } = filesIn("docs/cookbook.md");
const files = { ...filesIn("docs/testing.md"), "rooms/turns/index.js": turns };

test("the page has a room, its tests, and bots", () => {
  assert.deepEqual(Object.keys(files), ["rooms/counter/index.js", "test/counter.test.js", "test/turns.test.js", "bots.js", "rooms/turns/index.js"]);
});

test("the tests pass, random play too, and the room passes the check", () => {
  const folder = project(files);
  const tests = chorus(folder, "test", "--runs", "300");
  assert.equal(tests.status, 0, tests.output);
  assert.match(tests.stdout, /ℹ pass 4\n/);
  const [, moves] = tests.stdout.match(/turns: messages, accepted\/refused: move (\d+)\//);
  assert.ok(Number(moves) > 1_000, "the game is reached");
  assert.doesNotMatch(tests.stdout, /never/);
  const check = chorus(folder, "check");
  assert.equal(check.status, 0, check.output);
});

test("the bots play", async () => {
  const { default: bot } = await import(pathToFileURL(join(project(files), "bots.js")).href);
  const enough = new AbortController();
  let adds = 0;
  const WebSocket = fakeSocket((type) => {
    if (type !== "add") return { reply: null, enters: "counter" };
    if (++adds === 5) enough.abort();
    return { reply: 1 };
  });
  const report = await runBots(bot, { url: "ws://server/ws", count: 5, rate: 1_000, ms: 60_000, WebSocket, signal: enough.signal });
  assert.deepEqual([report.ok, report.stopped, report.failures], [true, 5, {}]);
  assert.equal(report.entered.count, 5);
  assert.ok(report.replies.count >= 5);
});

const PORTED = `import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoom } from "chorus-rooms/test";

test("dots move, and leave with their players", async () => {
  const room = await createRoom("field");
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("move", { x: 0.5, y: 1 });
  assert.deepEqual(ben.view.dots[ana.session], { name: "Ana", x: 0.5, y: 1 });
  await assert.rejects(ana.send("move", { x: 2, y: 0 }), { code: "refused" });
  await ana.leave();
  assert.deepEqual(Object.keys(ben.view.dots), [ben.session]);
});

test("each votes once", async () => {
  const room = await createRoom("poll");
  const ana = await room.join("Ana");
  await ana.send("vote", { option: "coffee" });
  await assert.rejects(ana.send("vote", { option: "tea" }), { message: "you have voted" });
  await assert.rejects(ana.send("vote", { option: "constructor" }), { code: "refused" });
  await room.restore();
  assert.deepEqual(ana.view, { votes: [0, 1] });
});

test("a line reaches the others", async () => {
  const room = await createRoom("talk");
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("say", "hello");
  assert.deepEqual([ana.received(), ben.received()], [[], [{ type: "said", data: { from: "Ana", text: "hello" } }]]);
  await ana.leave();
  assert.deepEqual(ben.received(), [{ type: "left", data: { name: "Ana" } }]);
});
`;

/** The project's tests pass, with random play of its rooms, and so does the check. */
function passes(folder, { runs = "60", check = true } = {}) {
  const tests = chorus(folder, "test", "--runs", runs);
  assert.equal(tests.status, 0, tests.output);
  if (!check) return;
  const checked = chorus(folder, "check", "--runs", "3");
  assert.equal(checked.status, 0, checked.output);
}

const TSC = fileURLToPath(new URL("../../../guests/node_modules/typescript/bin/tsc", import.meta.url));

/** The project that the tutorial begins with. */
function tutorialProject() {
  const folder = join(project({}), "nim");
  createProject(folder, templateOf());
  installedIn(folder);
  removeFiles(folder, 0);
  return folder;
}

/** What `npm run types` prints. */
function typesOf(folder) {
  return [".", "web", "test"].map((part) => spawnSync(process.execPath, [TSC, "-p", part], { cwd: folder, encoding: "utf8" }).stdout).join("");
}

const [SHARED, ROOM, STORIES] = ["shared/nim.ts", "rooms/nim/index.ts", "test/nim.test.js"];

test("the tutorial begins with a new project; each step has the right types and passes its stories, and random play finds what the second one lacks", () => {
  const blocks = blocksIn("docs/tutorial.md");
  assert.deepEqual(blocks.map(({ path }) => path), [...Array(3).fill([SHARED, ROOM, STORIES]).flat(), "web/index.html", "web/game.js"]);
  const step = (at, count = 3) => Object.fromEntries(blocks.slice(at, at + count).map(({ path, code }) => [path, code]));
  const folder = tutorialProject();
  write(folder, step(0));
  assert.equal(typesOf(folder), "");
  passes(folder, { runs: "10", check: false });
  write(folder, step(3));
  assert.equal(typesOf(folder), "");
  const second = chorus(folder, "test", "--runs", "10");
  assert.match(second.output, /ℹ pass 2\n/);
  assert.deepEqual([second.status, /grows by \d+ characters/.test(second.output)], [1, true], second.output);
  write(folder, step(6));
  passes(folder);
  removeFiles(folder, 1);
  write(folder, step(9, 2));
  assert.equal(typesOf(folder), "");
});

test("the tutorial's mistakes are found: by random play the line that is left out, by types the misspelt timer and the view without `you`", () => {
  const files = filesIn("docs/tutorial.md"), folder = tutorialProject();
  const without = (pattern, replacement) => {
    const broken = files[ROOM].replace(pattern, replacement);
    assert.notEqual(broken, files[ROOM]);
    write(folder, { ...files, [ROOM]: broken });
  };
  without(/(onLeave[\s\S]*?)    this\.#stop\(\);\n/, "$1");
  const { status, output } = chorus(folder, "test", "--runs", "200");
  assert.notEqual(status, 0);
  assert.match(output, /a turn ends by itself/);
  without('(TURN_MS, "expired")', '(TURN_MS, "expird")');
  assert.match(typesOf(folder), /^rooms\/nim\/index\.ts\(\d+,\d+\): error .*"expird"/m);
  without("endsAt, you }", "endsAt }");
  assert.match(typesOf(folder), /^rooms\/nim\/index\.ts\(\d+,\d+\): error .*'you' is missing/m);
});

test("the page with everything that an author needs has fewer than 4,000 words, and its example works", () => {
  const words = pageText("docs/author.md").split(/\s+/).filter(Boolean).length;
  assert.ok(words < 4_000, `${words} words`);
  passes(project(filesIn("docs/author.md")));
});

test("the rooms that are ported from elsewhere, and the skill's skeleton, withstand random play and the check", () => {
  const rooms = { ...filesIn("docs/coming-from.md"), ...filesIn("docs/skill/SKILL.md") };
  assert.deepEqual(Object.keys(rooms), ["field", "poll", "talk", "example"].map((kind) => `rooms/${kind}/index.js`));
  passes(project({ ...rooms, "test/ported.test.js": PORTED }));
});

test("the skill is a skill: a name, a description of a sentence or two, and no link out of its folder", () => {
  const text = pageText("docs/skill/SKILL.md");
  assert.match(text, /^---\nname: [a-z-]{1,64}\ndescription: .{40,1024}\n---\n\n# /);
  assert.doesNotMatch(text, /\]\(/);
});
