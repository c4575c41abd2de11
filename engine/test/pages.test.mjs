// The pages of the build that a room writes to: each is 4 KiB of every room. A page counts when its bytes are others in the end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { roomOf } from "./room.mjs";

const PAGE = 4096;
/** Some of the stack, the variables of the engine, and QuickJS's runtime with its context. */
const USUAL = 8;

/** The numbers of the build's pages that have changed. */
function written({ memory, guest }) {
  const now = Buffer.from(guest.exports.memory.buffer, 0, memory.length), before = Buffer.from(memory);
  const zeros = Buffer.alloc(PAGE);
  // A page without content is none of the build's: the room's own memory may begin within the last 64 KiB.
  const pages = Array.from({ length: memory.length / PAGE }, (_, page) => page).filter((page) => before.compare(zeros, 0, PAGE, page * PAGE, (page + 1) * PAGE) !== 0);
  return pages.filter((page) => now.compare(before, page * PAGE, (page + 1) * PAGE, page * PAGE, (page + 1) * PAGE) !== 0);
}

test("objects of shapes that the build does not have write to no more of its pages", async () => {
  // Names that the build has, in orders that it does not have.
  const top = `const names = [..."abcdefgh"], at = (n, i) => names[Math.floor(n / 8 ** i) % 8];`;
  const body = "state = { seen: [] }; messages = { see: (_player, n) => this.state.seen.push({ [at(n, 0)]: 1, [at(n, 1)]: 1, [at(n, 2)]: 1 }) };";
  const room = await roomOf(body, top);
  const see = (from, to) => { for (let n = from; n < to; n++) assert.equal(room.ask("see", n), n + 1); };
  // By then the room's table of shapes has grown once.
  see(0, 64);
  const first = written(room);
  assert.ok(first.length <= USUAL, `${first}`);
  see(64, 512);
  assert.deepEqual(written(room), first);
});

test("a player without claims costs no page of the build", async () => {
  const room = await roomOf("state = { n: 0 }; onJoin() { this.state.n++; }");
  const before = written(room);
  const again = "0".repeat(31) + "3";
  room.handle("join", again, { player: again, name: "C", spectator: false }, "", "{}");
  assert.deepEqual(written(room), before);
});
