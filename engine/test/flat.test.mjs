// Memory stays flat however many calls a room handles.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ANA, BEA, roomOf } from "./room.mjs";

/** `CHORUS_TEST_CALLS=1000000` before a new version of QuickJS. */
const CALLS = Number(process.env.CHORUS_TEST_CALLS ?? 20_000);

const GAME = `
  state = { board: Array(9).fill(null), turn: 0, seats: [], log: [], names: {} };
  onJoin(player) { this.state.seats.push({ id: player.id, session: player.session, name: player.name }); player.data.moves = 0; }
  timers = { turn: (data) => { this.state.turn = data.turn; } };
  messages = {
    move: (player, { cell }) => {
      const { board, seats } = this.state;
      if (board[cell] !== null) this.refuse("taken");
      board[cell] = this.state.turn;
      this.state.turn = 1 - this.state.turn;
      player.data.moves++;
      this.broadcast("moved", { cell, by: player.id }, { except: player });
      player.send("you", { cell });
      this.schedule.after(1000 + this.random.int(100), "turn", { turn: this.state.turn });
      if (board.every((one) => one !== null)) this.state.board = Array(9).fill(null);
      return seats.find(({ session }) => session === player.session).name;
    },
    name: (_player, text) => { this.state.names[text] = text.length; if (Object.keys(this.state.names).length > 50) this.state.names = {}; },
    odd: () => { this.state.odd = [new Date(0), undefined, -0]; cache.set("x", this.state); count++; held = this.state.board; return count; },
    throwing: () => { throw new Error("no"); },
    log: (_player, text) => { this.log.info(text, { a: [1] }); this.state.log = [...this.state.log.slice(-5), text]; },
  };
  view({ board, turn, seats }, player) { return { board, turn, you: seats.findIndex(({ session }) => session === player.session), data: player.data }; }
`;

test(`${CALLS} calls, of all sorts`, async () => {
  const room = await roomOf(GAME, "const cache = new Map(); let count = 0, held;");
  const { exports } = room.guest;
  const some = (from, to) => {
    for (let i = from; i < to; i++) {
      const who = i % 2 ? ANA : BEA;
      room.handle("message", who, "move", JSON.stringify({ cell: i % 9 }));
      if (i % 3 === 0) room.handle("message", who, "name", JSON.stringify(`name ${i}`));
      if (i % 5 === 0) assert.equal(room.ask("odd"), 1);
      if (i % 7 === 0) room.handle("message", who, "log", JSON.stringify(`line ${i}`));
      if (i % 11 === 0) room.handle("timer", "turn", '{"turn":1}');
    }
    exports.collect();
    return [exports.memory.buffer.byteLength, exports.allocated()];
  };
  some(0, CALLS / 4);
  const [memory, allocated] = some(CALLS / 4, CALLS / 2);
  const [memoryAfter, allocatedAfter] = some(CALLS / 2, CALLS);
  assert.equal(memoryAfter, memory);
  assert.ok(allocatedAfter <= allocated + 4096, `${allocated} → ${allocatedAfter}`);
});

test("a large message leaves no large memory behind", async () => {
  const room = await roomOf("messages = { echo: (_player, data) => data };");
  const big = "x".repeat(2_000_00);
  const after = () => { room.ask("echo", big); room.ask("echo", 1); return room.guest.exports.memory.buffer.byteLength; };
  const once = after();
  for (let i = 0; i < 50; i++) after();
  assert.equal(after(), once);
});

test("what waits for a promise without an end is dropped with its call", async () => {
  const room = await roomOf("messages = { go: () => { wait(); later(); } };", "async function wait() { await 1; } async function later() { for await (const one of [new Array(100).fill(1)]) one; }");
  const { exports } = room.guest;
  const after = () => { for (let i = 0; i < 100; i++) room.ask("go"); exports.collect(); return exports.allocated(); };
  const once = after();
  for (let i = 0; i < 5; i++) assert.equal(after(), once);
});
