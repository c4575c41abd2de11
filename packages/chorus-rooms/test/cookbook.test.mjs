// The rooms in docs/cookbook.md, unchanged: a story of each, random play, and the check.

import assert from "node:assert/strict";
import { test } from "node:test";

import { wrongWithName } from "../../../guests/lobby/codes.js";
import { filesIn } from "./pages.mjs";
import { chorus, project } from "./project.mjs";

const RUNS = "40";

const STORIES = {
  "turns": `
  const room = await createRoom("turns");
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("move", { value: 3 }), { message: "wait for another player" });
  const ben = await room.join("Ben"), eva = await room.join("Eva");
  await assert.rejects(ben.send("move", { value: 3 }), { message: "it is not your turn" });
  await ana.send("move", { value: 3 });
  assert.deepEqual(eva.view, { players: ["Ana", "Ben", "Eva"], turn: 1, last: { name: "Ana", value: 3 } });
  await room.advance(20_000);
  assert.equal(ana.view.turn, 2);
  await eva.leave();
  assert.deepEqual([ana.view.players, ana.view.turn], [["Ana", "Ben"], 0]);
  await ben.leave();
  assert.equal(ana.view.turn, null);
  assert.deepEqual(room.timers, {});`,
  "teams": `
  const room = await createRoom("teams");
  const [ana, ben, eva] = [await room.join("Ana"), await room.join("Ben"), await room.join("Eva")];
  assert.deepEqual([ana.view.team, ben.view.team, eva.view.team], ["red", "blue", "red"]);
  await eva.send("say", { text: "left!" });
  assert.deepEqual([ana, ben].map((one) => one.received().filter(({ type }) => type === "said").length), [1, 0]);
  for (let goal = 0; goal < 5; goal++) await ben.send("goal");
  assert.equal(ana.view.winner, "blue");
  await assert.rejects(ana.send("goal"), { message: "the match is over" });
  await ana.send("again");
  assert.deepEqual(ana.view.score, { red: 0, blue: 0 });`,
  "hands": `
  const room = await createRoom("hands");
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("deal"), { message: "two players are needed" });
  const ben = await room.join("Ben");
  await ana.send("deal");
  assert.equal(new Set([...ana.view.hand, ...ben.view.hand]).size, 10);
  assert.ok(!JSON.stringify(room.state).includes(String(ben.view.hand)));
  const [card] = ben.view.hand;
  await assert.rejects(ana.send("play", { card }), { message: "you do not have that card" });
  await ben.send("play", { card });
  assert.deepEqual(ana.view.table, [{ name: "Ben", card }]);
  await room.restore();
  assert.equal(ben.view.hand.length, 4);
  await ana.leave();
  for (const left of ben.view.hand) await ben.send("play", { card: left });
  assert.equal(ben.view.dealt, false);`,
  "chat": `
  const room = await createRoom("chat");
  const ana = await room.join("Ana");
  for (let line = 1; line <= 60; line++) await ana.send("say", { text: \` line \${line} \` });
  const ben = await room.join("Ben");
  assert.equal(ben.view.lines.length, 50);
  assert.equal(ben.view.lines[0].text, "line 11");
  const older = await ben.send("older", { before: ben.view.lines[0].id });
  assert.deepEqual([older.length, older.at(-1).text], [10, "line 10"]);
  assert.deepEqual(await ben.send("older", { before: older[0].id }), []);
  await assert.rejects(ben.send("older"), { message: "before is the id of a line" });
  await assert.rejects(ben.send("say", { text: "  " }), { code: "refused" });
  await ben.send("typing");
  assert.deepEqual([ana.received().length, ben.received().length], [1, 0]);`,
  "solo": `
  const room = await createRoom("solo");
  const ana = await room.join("Ana");
  await ana.send("take", { count: 1 });
  await assert.rejects(ana.send("take", { count: 1 }), { message: "it is not your turn" });
  while (!ana.view.winner) {
    if (ana.view.turn === "player") await ana.send("take", { count: 1 });
    else await room.advance(1_000);
  }
  assert.equal(ana.view.winner, "bot");
  await ana.send("again");
  assert.equal(ana.view.stones, 21);`,
  "rounds": `
  const room = await createRoom("rounds");
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("guess", { number: 50 });
  await assert.rejects(ana.send("guess", { number: 51 }), { message: "one guess in a round" });
  assert.deepEqual([ben.view.target, ben.view.guesses], [null, [{ name: "Ana" }]]);
  await room.advance(15_000);
  assert.deepEqual([ben.view.phase, ben.view.guesses], ["pause", [{ name: "Ana", number: 50 }]]);
  await assert.rejects(ben.send("guess", { number: 1 }), { message: "wait for the next round" });
  await room.advance(5_000);
  assert.deepEqual([ben.view.phase, ben.view.guesses], ["round", []]);
  await ana.leave();
  await ben.leave();
  assert.deepEqual(room.timers, {});`,
  "party": `
  const room = await createRoom("party", { word: "sesame" });
  const ana = await room.join({ name: "Ana", options: { word: "sesame" } });
  await assert.rejects(room.join({ name: "Eve", options: { word: "please" } }), { message: "that is not the word" });
  const ben = await room.join({ name: "Ben", options: { word: "sesame" } });
  assert.ok(!JSON.stringify(ben.view).includes("sesame"));
  await assert.rejects(ben.send("start"), { message: "the host starts" });
  await ana.leave();
  assert.equal(ben.view.isHost, true);
  await ben.send("start");
  assert.equal(room.locked, true);`,
  "stage": `
  const room = await createRoom("stage");
  const screen = await room.join({ name: "Screen", options: { screen: true } });
  assert.deepEqual([screen.spectator, screen.view.canBuzz], [true, false]);
  await room.advance(3_600_000);
  assert.equal(room.ended, false);
  const phones = [];
  for (let n = 1; n <= 8; n++) phones.push(await room.join(\`Phone \${n}\`));
  await assert.rejects(room.join("Late"), { message: "all seats are taken" });
  await phones[2].send("buzz");
  await assert.rejects(phones[0].send("buzz"), { message: "somebody was faster" });
  assert.deepEqual([screen.view.first, phones[0].view.canBuzz], ["Phone 3", false]);
  await assert.rejects(phones[0].send("next"), { message: "the screen goes on" });
  await phones[2].leave();
  assert.deepEqual([screen.view.first, screen.view.players.length, phones[0].view.canBuzz], [null, 7, true]);
  for (const phone of phones.filter((one) => one.isMember)) await phone.leave();
  await screen.leave();
  await room.advance(60_000);
  assert.equal(room.ended, true);`,
  "hall": `
  const room = await createRoom("hall");
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("look", "high"), { message: "a level is a number" });
  await ana.send("look", 3);
  assert.deepEqual(room.finds, [{ kind: "table", where: { level: 3 }, handler: "tables", data: { level: 3 } }]);
  await room.answer({ rooms: [{ id: "one", kind: "table", members: 1, metadata: { level: 3 } }], asOf: 7 });
  assert.deepEqual(ana.view, { tables: [{ id: "one", level: 3, members: 1 }], asOf: 7, problem: null });
  await assert.rejects(ana.send("sit", "two"), { message: "look for tables first" });
  await ana.send("look", 4);
  await room.advance(10_000);
  assert.match(ana.view.problem, /no answer/);`,
};

const IMPORTS = 'import assert from "node:assert/strict";\nimport { test } from "node:test";\nimport { createRoom } from "chorus-rooms/test";\n';
const { "shared/turns.ts": _, "web/room-name.js": roomName, ...rooms } = filesIn("docs/cookbook.md");
const stories = Object.entries(STORIES).map(([kind, story]) => `test("${kind}", async () => {${story}\n});\n`);

test("each room of the page has a story here", () => {
  assert.deepEqual(Object.keys(rooms), Object.keys(STORIES).map((kind) => `rooms/${kind}/index.js`));
});

test("each address gives a name that the lobby takes", async () => {
  const { roomName: nameOf } = await import(`data:text/javascript,${encodeURIComponent(roomName)}`);
  const named = { "/room/garden": "room-garden", "/room/Blue%20Cheese/x": "room-blue-20cheese", "/room/": "room-main", "/": "room-main" };
  for (const [path, name] of Object.entries(named)) assert.equal(nameOf(path), name);
  const odd = ["/room/%F0%9F%A6%84", "/room/%", "/room/...", `/room/${"x".repeat(200)}`, `/room/${"0".repeat(32)}`, "/room/k", "/room/KQ7F2M"];
  for (const path of [...Object.keys(named), ...odd]) assert.equal(wrongWithName(nameOf(path)), undefined, path);
});

test("the rooms do what the page says, and withstand random play and the check", () => {
  const folder = project({ ...rooms, "test/stories.test.js": IMPORTS + stories.join("\n") });
  const tests = chorus(folder, "test", "--runs", RUNS);
  assert.equal(tests.status, 0, tests.output);
  const check = chorus(folder, "check", "--runs", "3");
  assert.equal(check.status, 0, check.output);
});
