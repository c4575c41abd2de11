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
