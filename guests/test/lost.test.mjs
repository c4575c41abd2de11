// Anything that would be lost silently is an error, in the script's own call or when the guest is built.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { bundle } from "../build/bundle.mjs";
import { inspect } from "../build/inspect.mjs";
import { roomOf, session, uncreatedRoom } from "./story.mjs";

const SDK = fileURLToPath(new URL("../sdk/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "lost-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

// State in other places

const PLAYER = /TypeError: player\.\w+ cannot be set: it would be lost; keep it in player\.data, or in this\.state under player\.id/;
const ROOM = /TypeError: this\.\w+ cannot be set: only this\.state survives; put it there/;
const SEALED = /TypeError: .*(not extensible|read-?only|no setter|frozen|Cannot (add|assign|define|delete)|delete property)/i;

for (const [statement, words] of [
  ["player.ready = true", PLAYER],
  ["player.name = 'bo'", PLAYER],
  ["player.spectator = true", PLAYER],
  ["player.ready ??= true", PLAYER],
  ["this.players.get(player.session).score = 1", PLAYER],
  ["for (const one of this.players) one.score = 1", PLAYER],
  ["player.send = () => {}", SEALED],
  ["Object.defineProperty(player, 'ready', { value: true })", SEALED],
  ["Object.assign(player, { ready: true })", PLAYER],
  ["Object.getPrototypeOf(player).ready = true", PLAYER],
  ["this.players.first = player", /TypeError: this\.players\.first cannot be set: it would be lost; keep it in this\.state/],
  ["this.players.size = 3", /TypeError: this\.players\.size cannot be set/],
  ["this.ready = true", ROOM],
  ["this.seats = [1]", ROOM],
  ["this.seats.push(1)", SEALED],
  ["this.table.a.b = 2", SEALED],
  ["this.players = []", ROOM],
  ["this.id = 'x'", ROOM],
  ["this.locked = true", ROOM],
  ["this.messages = {}", ROOM],
  ["delete this.seats", SEALED],
  ["Object.defineProperty(this, 'ready', { value: true })", SEALED],
  ["this.constructor.count = 1", SEALED],
  ["this.constructor.WORDS.push('x')", SEALED],
  ["Object.getPrototypeOf(this).count = 1", ROOM],
  ["this.helper.count = 1", SEALED],
  ["this.messages.run.count = 1", SEALED],
  ["this.random.seed = 1", SEALED],
  ["this.rooms.known = []", SEALED],
  ["this.schedule.next = 1", SEALED],
  ["this.log.level = 1", SEALED],
]) {
  test(`${statement} is an error that names the right place`, async () => {
    const story = (await roomOf(`static WORDS = ["a"]; seats = []; table = { a: { b: 1 } }; helper = () => 1; messages = { run: (player) => { ${statement}; }, fine: () => 1 };`)).join("ana");
    assert.throws(() => story.message("ana", "run"), words);
    assert.equal(story.restore("faulted").message("ana", "fine").reply, 1);
  });
}

test("constants in fields are read as they are: plain data, functions, statics", async () => {
  const story = (await roomOf("static WORDS = ['a']; static SIZE = 3; seats = [1, { two: 2 }]; none; nothing = null; helper = (n) => n + 1; rules = { double: (n) => 2 * n }; messages = { run: () => [this.constructor.WORDS[0], this.constructor.SIZE, this.seats[1].two, this.none === undefined, this.nothing, this.helper(1), this.rules.double(2)] };")).join("ana");
  assert.deepEqual(story.message("ana", "run").reply, ["a", 3, 2, true, null, 2, 4]);
});

test("a player's data and the state may be set whole", async () => {
  const story = (await roomOf("messages = { run: (player) => { player.data = { ready: true }; this.state = { n: 1 }; } };")).join("ana");
  assert.deepEqual(JSON.parse(story.message("ana", "run").saved.state), { state: { n: 1 }, data: { [session("ana")]: { ready: true } } });
});

for (const [field, words] of [
  ["seen = new Map();", /^this\.seen holds a Map: what a script kept there would be lost at a restore; keep it in this\.state/],
  ["seen = new Set();", /^this\.seen holds a Set/],
  ["at = new Date(0);", /^this\.at holds a Date/],
  ["word = /x/g;", /^this\.word holds a RegExp/],
  ["bytes = new Uint8Array(2);", /^this\.bytes holds a Uint8Array/],
  ["cards = { deck: [new (class Card {})()] };", /^this\.cards holds a Card/],
  ["big = 1n;", /^this\.big holds a bigint/],
  ["key = Symbol('x');", /^this\.key holds a symbol/],
  ["later = Promise.resolve(1);", /^this\.later holds a Promise/],
  ["static seen = new Map();", /^static seen holds a Map/],
  ["state = { seen: new Map() };", /^this\.state holds a Map; it must be plain JSON data/],
  ["state = { turn: () => 1 };", /^this\.state holds a function; it must be plain JSON data/],
  ["players = [];", /^this\.players is the room's own: call the field something else/],
  ["id = 'x';", /^this\.id is the room's own/],
  ["broadcast = () => {};", /^this\.broadcast is the room's own/],
]) {
  test(`the field ${field} is refused when the guest is built, at its line`, async () => {
    const file = join(scratch, "guest.js");
    writeFileSync(file, `import { Room } from "chorus";\n\nexport default class Test extends Room {\n  one = 1;\n  ${field}\n}\n`);
    await assert.rejects(async () => inspect(await bundle(file), file, SDK), ({ message, line }) => {
      assert.match(message, words);
      assert.equal(line, 5);
      return true;
    });
  });
}

// Refusals

const REFUSING = `state = { n: 0 };
  timers = { t() {} };
  messages = {
    caught: () => { this.state.n++; try { this.refuse("no"); } catch {} this.broadcast("x"); this.schedule.after(1, "t"); return "yes"; },
    wrapped: () => { try { this.refuse("no"); } catch (error) { throw new Error("wrapped " + error.message); } },
    twice: () => { try { this.refuse("no"); } catch { this.refuse("never"); } },
    promise: () => { try { this.refuse("no"); } catch {} return { then() {} }; },
    fine: () => this.state.n,
  };
  onJoinAttempt(player) { if (player.name === "eve") try { this.refuse("not you"); } catch {} return true; }`;

test("a refusal holds, even if the script catches it", async () => {
  const story = (await roomOf(REFUSING)).join("ana");
  assert.equal(story.message("ana", "caught").refused, "no");
  assert.deepEqual(story.effects.map(({ tag }) => tag), ["refuse"]);
  assert.equal(story.message("ana", "twice").refused, "never");
  assert.equal(story.message("ana", "promise").refused, "no");
  assert.equal(story.message("ana", "wrapped").refused, "no");
  assert.match(story.log.at(-1).text, /^after a refusal: Error: wrapped no/);
  assert.equal(story.message("ana", "fine").reply, 0);
  assert.equal(story.join("eve").refused, "not you");
  assert.equal(story.message("ana", "fine").reply, 0, "the effects of a refused call are dropped with it");
});

test("a handler that has returned can no longer refuse", async () => {
  const story = (await roomOf("state = { n: 0 }; messages = { add: () => { this.state.n++; } }; view({ n }) { if (n > 0) this.refuse('no'); return n; }")).join("ana");
  assert.throws(() => story.message("ana", "add"), /this\.refuse\(reason\) answers a message or a join/);
});

// Promises

for (const statement of [
  "Promise.resolve(1).then(() => { this.state.n = 1; })",
  "new Promise(() => {}).then(() => {})",
  "Promise.reject(new Error('x')).catch(() => {})",
  "new Promise((resolve) => resolve()).finally(() => {})",
  "Promise.all([Promise.resolve(1)])",
  "Promise.race([Promise.resolve(1)])",
  "try { Promise.resolve(1).then(() => {}); } catch {}",
]) {
  test(`${statement} is an error, since it would have no effect`, async () => {
    const story = (await roomOf(`state = { n: 0 }; messages = { run: () => { ${statement}; } };`)).join("ana");
    assert.throws(() => story.message("ana", "run"), /TypeError: promises do not run in a room, so what waits for one never happens: hooks are synchronous[^]*\n\s+at \S*run /);
    assert.deepEqual(story.restore("faulted").state, { n: 0 });
  });
}

test("a promise at the top level is an error of the build", async () => {
  await assert.rejects(uncreatedRoom("static later = Promise.resolve(1).then(() => 1);"), /promises do not run in a room/);
});

test("an onRestore that waits for a promise does not end the room", async () => {
  const story = await roomOf("onRestore() { Promise.all([Promise.resolve(1)]); }");
  assert.match(story.restore("woken").log[0].text, /onRestore\("woken"\): TypeError: promises do not run in a room/);
});

test("a story fails by module state that a call leaves changed", { skip: process.env.CHORUS_TEST_GUEST !== "engine" && "the SDK in Node keeps it" }, async () => {
  const body = "messages = { go: () => { globalThis.shared = 1; } };";
  const story = (await roomOf(body)).join("ana");
  assert.throws(() => story.message("ana", "go"), /message go: `globalThis\.shared` is changed by this call, and put back at its end[^]*\n {4}at go \(\S*room-\d+\.js:\d+:\d+\)$/);
  const unchecked = (await roomOf(body, {}, { check: false })).join("ana");
  assert.equal(unchecked.message("ana", "go").reply, null);
});
