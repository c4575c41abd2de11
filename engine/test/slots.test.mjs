// Several rooms in one instance (`static config = { share }`): each is exactly what it is in an instance of its own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { bundle } from "../../guests/build/bundle.mjs";
import { entry } from "../../guests/build/contract.mjs";
import { snapshot } from "../../guests/build/engine.mjs";
import { guestOf } from "../../guests/build/run.mjs";
import { Cell, SlotRoom, cellOf } from "./cell.mjs";
import { ANA, BEA, built } from "./room.mjs";
import { WRITES } from "./writes.mjs";

const COUNTER = "state = { n: 0 }; messages = { add: (player, by) => { this.state.n += by; player.data.last = by; return this.state.n; }, throw: () => { this.state.n = 99; throw new Error('no'); }, spin: () => { for (;;); }, look: (player) => [this.state, player.data, this.id, this.players.size] };";

const concat = (...entries) => new Uint8Array(Buffer.concat(entries));

/** Rooms of a cell in the slots 0, 1, … */
const roomsIn = (cell, count, options) => Array.from({ length: count }, (_, slot) => new SlotRoom(cell, slot, options));

test("each room has its own state, members and id", async () => {
  const rooms = roomsIn(await cellOf(COUNTER), 4);
  for (let i = 0; i < 20; i++) for (const room of rooms) room.ask("add", room.slot + 1, i % 2 ? ANA : BEA);
  for (const room of rooms) {
    assert.deepEqual(room.ask("look"), [{ n: 20 * (room.slot + 1) }, { last: room.slot + 1 }, room.number.toString(16).padStart(32, "a"), 2]);
    assert.deepEqual(room.state, { n: 20 * (room.slot + 1) });
  }
});

test("a room whose entry throws or is exhausted ends alone", async () => {
  const cell = await cellOf(COUNTER);
  const [one, other, third] = roomsIn(cell, 3);
  one.ask("add", 1);
  other.ask("add", 2);
  assert.throws(() => one.ask("throw"), /no/);
  assert.equal(other.ask("add", 2), 4);
  third.limit = 1000;
  assert.throws(() => third.ask("spin"), /exhausted/);
  assert.equal(other.ask("add", 2), 6);
  one.close();
  third.close();
  const [again, last] = [new SlotRoom(cell, 0), new SlotRoom(cell, 2)];
  assert.deepEqual([again.ask("add", 5), last.ask("add", 7), other.ask("add", 2)], [5, 7, 8]);
});

test("entries after one that throws are not carried out, and those of the next call are", async () => {
  const cell = await cellOf(COUNTER);
  const [one, other] = roomsIn(cell, 2);
  const outcomes = one.call(one.event("message", ANA, "add", "1"), one.event("message", ANA, "throw", "null"), one.event("message", ANA, "add", "1"));
  assert.deepEqual(outcomes.map((outcome) => "done" in outcome), [true, false]);
  assert.equal(other.ask("add", 1), 1);
});

test("a room that is opened in a slot that was not closed takes the place of the one there", async () => {
  const cell = await cellOf(COUNTER);
  const [one, other] = roomsIn(cell, 2);
  one.ask("add", 3);
  other.ask("add", 4);
  const again = new SlotRoom(cell, 0);
  assert.deepEqual([again.ask("add", 1), other.ask("add", 1)], [1, 5]);
});

/** All writes in one module, each as a message of its own: `w0`, `w1`, … `all` makes them all, and then ends as it is asked to. */
const ALL_WRITES = {
  top: Object.values(WRITES).map(([top, expression], i) => `const w${i} = (() => { ${top}\nreturn () => ${expression}; })();`).join("\n"),
  body: `messages = {
    ${Object.keys(WRITES).map((_, i) => `w${i}: () => w${i}()`).join(", ")},
    all: (_player, end) => { ${Object.keys(WRITES).map((_, i) => `w${i}();`).join(" ")} if (end === "refuse") this.refuse("no"); if (end === "throw") throw new Error("no"); while (end === "spin"); },
  };`,
};

test("what a room writes in its module, in all sorts of ways, no other room finds", async () => {
  const cell = await cellOf(ALL_WRITES.body, ALL_WRITES.top);
  const [one, other, third] = roomsIn(cell, 3);
  const firsts = Object.keys(WRITES).map((_, i) => one.ask(`w${i}`));
  const same = (room) => Object.keys(WRITES).forEach((name, i) => assert.deepEqual(room.ask(`w${i}`), firsts[i], name));
  same(other);
  same(one);
  one.ask("all");
  cell.collect();
  same(other);
  assert.match(one.handle("message", ANA, "all", '"refuse"').done.at(-1)[1], /no/);
  same(other);
  one.handle("message", ANA, "all", '"throw"');
  one.close();
  same(other);
  third.limit = 100_000;
  assert.deepEqual(third.handle("message", ANA, "all", '"spin"').exhausted, []);
  same(other);
  cell.collect();
  same(new SlotRoom(cell, 0));
});

test("what the engine keeps of a room from call to call is the room's", async () => {
  const body = `
    static config = { share: 4, budget: { timers: 2 } };
    state = { list: [] };
    timers = { one: () => { this.state.list.push("one"); }, two: () => {}, three: () => {} };
    messages = {
      schedule: (_player, name) => { this.schedule.after(1000, name); return this.random.int(1e9); },
      lock: () => { const was = this.locked; this.lock(); return was; },
      hold: (player) => { const was = held && [held.name, held.data, held === player]; held = player; player.data.held = (player.data.held ?? 0) + 1; return was; },
      create: () => [this.rooms.create("chess"), this.rooms.left],
      spread: (player) => { for (const one of this.players) one.data.from = player.name; return [...this.players].map(({ name, data }) => [name, data]); },
      dice: () => [Math.random(), this.random.int(1000), this.random.shuffle([1, 2, 3, 4, 5]), crypto.randomUUID(), this.now(), new Date().getTime()],
      symbols: () => { const had = known.has(Symbol.for("mine")); known.add(Symbol.for("mine")); return had; },
      stack: () => { const was = Error.prepareStackTrace === undefined; Error.prepareStackTrace = () => "mine"; return [was, new Error("x").stack]; },
      numbers: () => { const { value } = numbers().next(); return value; },
      stand: (player) => { player.stand(); return this.players.playing; },
    };
    view(state, player) { return { ...state, data: player.data, spectator: player.spectator }; }`;
  const { memory } = await built(body, "let held = null; const known = new Set(); function* numbers() { for (;;) yield n++; } let n = 0;");
  const rooms = roomsIn(new Cell(memory), 4);
  const each = (type, data, who) => rooms.map((room) => room.handle("message", who ?? ANA, type, JSON.stringify(data ?? null)));
  for (const [type, data, who] of [
    ["schedule", "one"], ["schedule", "two"], ["hold"], ["hold", null, BEA], ["spread"], ["spread", null, BEA], ["lock"], ["lock"], ["dice"], ["dice"],
    ["symbols"], ["symbols"], ["stack"], ["numbers"], ["stand"], ["create"], ["hold"],
  ]) for (const { done } of each(type, data, who)) assert.equal(done?.at(-1)[0], "reply", type);
  assert.deepEqual(rooms.map((room) => room.ask("lock")), [true, true, true, true]);
  for (const room of rooms) room.handle("timer", "one", "null");
  // Two may be pending: a third is one too many.
  for (const room of rooms.slice(1)) room.ask("schedule", "three");
  rooms[0].ask("schedule", "one");
  for (const room of rooms) assert.throws(() => room.ask("schedule", room.slot === 0 ? "three" : "one"), /2 timers are pending/);
});

test("a room's own Maps find what is in them after another room was opened, whose hash seed is another", async () => {
  const body = "messages = { create: () => this.rooms.create('chess'), left: () => this.rooms.left };";
  const cell = await cellOf(body), room = new SlotRoom(cell, 0);
  const created = Array.from({ length: 10 }, () => room.ask("create"));
  new SlotRoom(cell, 1);
  assert.equal(room.ask("left"), 90);
  for (const id of created) room.handle("room-end", id, "", "null");
  assert.equal(room.ask("left"), 100);
});

test("each room's author sees a change of module state once, and only where the host requests it", async () => {
  const cell = await cellOf("messages = { go: () => { count++; } };", "let count = 0;");
  const [one, other] = roomsIn(cell, 2, { check: true }), quiet = new SlotRoom(cell, 2);
  const report = /^warn: module state: `count` is changed/;
  for (const room of [one, other]) assert.match(room.logs("go")[0], report);
  for (const room of [one, other, quiet]) assert.deepEqual(room.logs("go"), []);
  one.close();
  assert.match(new SlotRoom(cell, 0, { check: true }).logs("go")[0], report);
});

test("a room that was saved goes on in another slot, and others beside it as before", async () => {
  const cell = await cellOf(COUNTER);
  const [one, other] = roomsIn(cell, 2);
  one.ask("add", 3);
  const { saved } = one;
  one.close();
  const moved = new SlotRoom(cell, 3, { saved });
  assert.deepEqual([moved.ask("add", 1), other.ask("add", 1), moved.ask("look")[1]], [4, 1, { last: 1 }]);
});

test("a guest with a share is one room without slots", async () => {
  const { memory } = await built(`static config = { share: 4 };\n${COUNTER}`);
  const info = JSON.stringify({ id: "f".repeat(32), kind: "test", now: 0, chance: "0".repeat(64), members: [], timers: [], locked: false });
  const guest = guestOf(memory);
  guest.call(entry("open", 1000, 1, '{"state":{"n":1}}', info));
  assert.equal(Buffer.from(guest.call(entry("save"))).subarray(13).toString(), '{"state":{"n":1}}');
  assert.throws(() => guest.call(concat(entry("select", 0), entry("save"))), WebAssembly.RuntimeError);
});

test("calls that a host does not make trap", async () => {
  const { memory } = await built(`static config = { share: 4 };\n${COUNTER}`);
  const info = JSON.stringify({ id: "f".repeat(32), kind: "test", now: 0, chance: "0".repeat(64), members: [], timers: [], locked: false });
  const open = entry("open", 1000, 1, "", info), save = entry("save"), select = (slot) => entry("select", slot), close = (slot) => entry("close", slot);
  const traps = (...entries) => assert.throws(() => {
    const guest = guestOf(memory);
    guest.call(concat(select(1), open));
    guest.call(concat(...entries));
  }, WebAssembly.RuntimeError);
  traps(save);
  traps(close(0), save);
  traps(select(0), save);
  traps(select(4), open);
  traps(close(4));
  traps(select(1), select(2), open);
  traps(select(1), close(2), save);
  traps(close(1), select(1), save);
  const unshared = (await built(COUNTER)).memory;
  assert.throws(() => guestOf(unshared).call(concat(select(0), open)), WebAssembly.RuntimeError);
  const cell = new Cell(memory);
  assert.equal(cell.guest.call(concat(close(0), close(3))).length, 0);
  assert.equal(new SlotRoom(cell, 3).ask("add", 1), 1);
});

test("the fixture: what a room writes in its module, no other room and no later call finds", async () => {
  const { guest } = await bundle(fileURLToPath(new URL("../../guests/fixtures/cell.js", import.meta.url)));
  const cell = new Cell(snapshot(guest));
  const [one, other] = roomsIn(cell, 2);
  const clean = other.ask("look");
  assert.deepEqual(clean, { calls: 0, seen: [], last: null, at: 0, global: null, builtin: null, limit: 10, field: null });
  assert.deepEqual(one.ask("leak", "x"), { calls: 1, seen: ["x"], last: "x", at: 1, global: "x", builtin: "x", limit: 1, field: null });
  assert.deepEqual([other.ask("look"), one.ask("look")], [clean, clean]);
  assert.equal(one.ask("add", 2), 2);
  assert.match(one.handle("message", ANA, "throw", "null").threw, /on purpose/);
  assert.deepEqual(other.handle("message", ANA, "throw-in-timer", "null").done, [["set-timer", "bang", 0, "null"], ["reply", "null"]]);
  assert.match(other.handle("timer", "bang", "null").threw, /timer throws on purpose/);
});

/** `CHORUS_TEST_CALLS=1000000` before a new version of QuickJS. */
const ROOMS = Math.max(1_000, Number(process.env.CHORUS_TEST_CALLS ?? 20_000));

test(`${ROOMS} rooms, opened, played and closed one after another, leave no memory behind`, async () => {
  const body = `
    static config = { share: 8 };
    state = { board: Array(9).fill(null), turn: 0, log: [] };
    timers = { turn: () => { this.state.turn = 0; } };
    onJoin(player) { player.data.moves = []; }
    messages = {
      move: (player, n) => {
        this.state.board[n % 9] = { by: player.id, at: n };
        this.state.log.push("x".repeat(n % 500));
        player.data.moves.push(n);
        this.schedule.after(1000, "turn", { n });
        return this.state.turn++;
      },
      odd: (player, n) => { held = player; cache.set("n" + n, this.state); this.state.odd = [new Date(0), undefined]; const o = { player, all: cache.keys() }; o.self = o; o.all.next(); wait(n); return count++; },
      throw: (_player, n) => { this.state.log.push(n); throw new Error("no"); },
      refuse: () => { this.state.log.push(1); this.lock(); this.refuse("no"); },
      spin: () => { this.state.log = [{}]; for (;;); },
    };
    view({ board, turn }, player) { return { board, turn, moves: player.data.moves }; }`;
  const { memory } = await built(body, "const cache = new Map([['a', 1], ['b', 2]]); let held, count = 0; async function wait(n) { await n; }");
  const cell = new Cell(memory);
  const endings = ["move", "odd", "throw", "refuse", "spin"];
  const some = (from, to) => {
    for (let i = from; i < to; i++) {
      const room = new SlotRoom(cell, i % 8, { alone: true, together: true, check: i % 5 === 0 });
      const say = (type, who) => room.event("message", who, type, `${i}`);
      room.limit = 5000;
      const outcomes = room.call(say("move", ANA), say("move", BEA), say("odd", ANA), say("move", ANA), room.event("leave", BEA, "left"), say(endings[i % 5], ANA));
      assert.deepEqual(Object.keys(outcomes.at(-1))[1], { throw: "threw", spin: "exhausted" }[endings[i % 5]] ?? "done");
      // Some are closed by the host, others by the next `open`.
      if (i % 3 > 0) room.close();
    }
    for (let slot = 0; slot < 8; slot++) cell.close(slot);
    cell.flush();
    cell.collect();
    return [cell.bytes, cell.allocated];
  };
  some(0, ROOMS / 4);
  const [bytes, allocated] = some(ROOMS / 4, ROOMS / 2);
  assert.deepEqual(some(ROOMS / 2, ROOMS), [bytes, allocated]);
});
