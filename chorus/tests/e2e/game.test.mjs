// Tic-tac-toe, end to end.

import assert from "node:assert/strict";

import { DRAW, FIRST_WINS, byTurn, pair, play } from "./player.mjs";
import { stories } from "./stories.mjs";

const story = stories();

story("a game is played to a win", async ({ join }) => {
  const [first, second] = await pair(...(await join("Ana", "Bo")));
  await play([first, second], FIRST_WINS);
  for (const player of [first, second]) {
    assert.deepEqual(await player.receives("ended"), { winner: first.view.you, line: [0, 1, 2], reason: "line" });
    await player.sees("who has won", ({ winner, line }) => winner === first.view.you && line.join() === "0,1,2");
    assert.deepEqual(player.events.filter(({ type }) => type === "moved").map(({ data }) => data.cell), FIRST_WINS);
  }
  await assert.rejects(second.move(8), { code: "refused", message: "the game is over" });
});

story("a full board is a draw", async ({ join }) => {
  const players = await pair(...(await join("Ana", "Bo")));
  await play(players, DRAW);
  for (const player of players) {
    assert.deepEqual(await player.receives("ended"), { winner: "draw", line: null, reason: "full" });
    await player.sees("a draw", ({ winner, board }) => winner === "draw" && !board.includes(null));
  }
});

story("an illegal move is refused with its reason, and has no effect", async ({ join }) => {
  const [first, second] = await pair(...(await join("Ana", "Bo")));
  await play([first, second], [4]);
  const refused = (player, data, message) => assert.rejects(player.send("move", data), { code: "refused", message });
  await refused(second, { cell: 4 }, "the cell is taken");
  await refused(first, { cell: 0 }, "it is not your turn");
  for (const cell of [9, -1, 0.5, "0", null]) await refused(second, { cell }, "a move needs a cell from 0 to 8");
  await refused(second, null, "a move needs a cell from 0 to 8");
  await refused(second, undefined, "a move needs a cell from 0 to 8");
  await play([second, first], [0]);
  assert.deepEqual(first.view.board.filter((owner) => owner !== null).length, 2);
});

story("both request a rematch, and the other player begins", async ({ join }) => {
  const [first, second] = await pair(...(await join("Ana", "Bo")));
  await assert.rejects(first.send("rematch"), { code: "refused", message: "the game is not over" });
  await play([first, second], FIRST_WINS);
  await first.sees("the end", ({ winner }) => winner !== null);
  await first.send("rematch");
  await second.sees("the wish", ({ rematch }) => rematch[first.view.you]);
  await second.send("rematch");
  for (const player of [first, second]) await player.sees("an empty board", ({ winner, board }) => winner === null && board.every((owner) => owner === null));
  assert.deepEqual(byTurn(first, second), [second, first]);
  await play([second, first], FIRST_WINS);
  await first.sees("the other's win", ({ winner }) => winner === second.view.you);
});

story("many games at once do not disturb each other", async ({ join }) => {
  const tables = [];
  for (let n = 0; n < 8; n++) tables.push(await pair(...(await join(`Ana ${n}`, `Bo ${n}`))));
  assert.equal(new Set(tables.map(([first]) => first.client.room.id)).size, 8);
  await Promise.all(tables.map((table, n) => play(table, n % 2 ? DRAW : FIRST_WINS)));
  for (const [n, [first, second]] of tables.entries()) {
    const expected = n % 2 ? "draw" : first.view.you;
    for (const player of [first, second]) await player.sees("the end", ({ winner }) => winner === expected);
  }
});
