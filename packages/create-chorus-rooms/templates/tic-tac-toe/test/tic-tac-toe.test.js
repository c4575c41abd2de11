import assert from "node:assert/strict";
import { test } from "node:test";

import { createRoom, play } from "chorus-rooms/test";

/** @import { Plan, TestPlayer, TestRoom } from "chorus-rooms/test" */
/** @import { TicTacToe } from "../shared/tic-tac-toe.ts" */

/** A room with two players, the one who begins first. */
async function game() {
  /** @type {TestRoom<TicTacToe>} */
  const room = await createRoom("tic-tac-toe");
  const players = [await room.join("Ana"), await room.join("Ben")];
  return { room, players: room.state.turn === 0 ? players : [...players].reverse() };
}

/** @param {TestPlayer<TicTacToe>[]} players @param {number[]} cells */
async function moves(players, cells) {
  for (const [at, cell] of cells.entries()) await players[at % 2].send("move", { cell });
}

test("three in a row win, and both may play again", async () => {
  const { room, players } = await game();
  await assert.rejects(players[1].send("move", { cell: 0 }), { code: "refused", message: "it is not your turn" });
  await moves(players, [0, 3, 1, 4, 2]);
  assert.deepEqual([players[1].view.winner, players[1].view.line], [players[0].view.you, [0, 1, 2]]);
  assert.deepEqual(room.timers, {});
  await players[0].send("again");
  assert.notEqual(players[0].view.winner, null);
  await players[1].send("again");
  assert.equal(players[0].view.winner, null);
  assert.equal(players[0].view.turn, players[1].view.you, "the other one begins");
});

test("a turn that takes too long loses, also after a crash", async () => {
  const { room, players } = await game();
  await moves(players, [4]);
  await room.restore();
  await room.advance(30_000);
  assert.equal(room.state.winner, players[0].view.you);
});

test("a seat is kept over a lost connection, and is free when its player leaves", async () => {
  const { room, players: [first, second] } = await game();
  await first.send("move", { cell: 4 });
  await first.drop();
  assert.equal(second.view.seats[first.view.you]?.connected, false);
  await first.reconnect();
  assert.equal(first.view.board[4], first.view.you);
  await first.leave();
  assert.deepEqual(room.timers, {});
  await assert.rejects(second.send("move", { cell: 0 }), { message: "wait for the other player" });
  const eva = await room.join("Eva");
  assert.equal(eva.view.board[4], null, "a new game");
});

/** @param {{ session: string, name: string, connected: boolean }} player */
const present = ({ session, name, connected }) => `${name} (${session.slice(0, 4)}) is ${connected ? "connected" : "away"}`;

/** @type {Plan<TicTacToe>} */
const plan = {
  messages: { move: (random) => ({ cell: random.int(9) }), again: null },
  invariants: {
    "a turn ends by itself, when players see it": ({ state, timers }) =>
      assert.equal(timers.turn?.due, state.winner === null && !state.seats.includes(null) ? state.endsAt : undefined),
    "the marks differ by one at most": ({ state }) => {
      const [crosses, noughts] = [0, 1].map((seat) => state.board.filter((mark) => mark === seat).length);
      return Math.abs(crosses - noughts) <= 1;
    },
    "each member has a seat, and nobody else": ({ state, members }) =>
      assert.deepEqual(state.seats.filter((sitting) => sitting !== null).map(present).sort(), members.map(present).sort()),
  },
};
play("tic-tac-toe", plan);
