// Tic-tac-toe's stories.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LINES, emptyBoard, verdict } from "../tic-tac-toe/board.js";
import { room, roomNamed, session } from "./story.mjs";

const LOBBY = roomNamed("lobby");

/** A game of ana and bo. `first` and `second` are their names, in the order of moving. */
async function table(options = {}, id = roomNamed("table")) {
  const game = await room("tic-tac-toe", { seats: ["ana", "bo"], ...options }, { creator: LOBBY, id });
  game.join("ana").join("bo");
  const names = ["ana", "bo"];
  game.first = names[game.state.first];
  game.second = names[1 - game.state.first];
  ["ana", "bo"].forEach((name) => game.received(name));
  return game;
}

/** Plays the cells in turn, beginning with the player on turn. */
function play(game, ...cells) {
  cells.forEach((cell, n) => {
    game.message(n % 2 === 0 ? game.first : game.second, "move", { cell });
    assert.equal(game.refused, undefined, `move ${n} to ${cell}`);
  });
  return game;
}

const FIRST_WINS = [0, 3, 1, 4, 2];
const seatOf = (name) => ["ana", "bo"].indexOf(name);
const last = (game, name) => game.received(name).at(-1);

test("a seat belongs to its player, and all members see the same board", async () => {
  const game = await table();
  const { you, ...ana } = game.viewOf("ana");
  assert.equal(you, 0);
  assert.deepEqual({ ...ana, you: 1 }, game.viewOf("bo"));
  assert.deepEqual(ana, {
    board: emptyBoard(), seats: [{ name: "ana", connected: true }, { name: "bo", connected: true }],
    turn: game.state.first, deadline: game.now + 30_000, winner: null, line: null, rematch: [false, false],
  });
});

test("a move is answered, shown and broadcast", async () => {
  const game = await table();
  game.message(game.first, "move", { cell: 4 });
  assert.deepEqual(game.reply, {});
  assert.equal(game.viewOf(game.second).board[4], seatOf(game.first));
  assert.equal(game.viewOf(game.second).turn, seatOf(game.second));
  assert.deepEqual(game.received(game.second), [{ type: "moved", data: { seat: seatOf(game.first), cell: 4 } }]);
});

for (const line of LINES) {
  test(`the line ${line.join(" ")} wins`, async () => {
    const game = await table();
    const free = [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((cell) => !line.includes(cell));
    // The other player has only two cells, too few for a line.
    play(game, line[0], free[0], line[1], free[1], line[2]);
    const winner = seatOf(game.first);
    assert.deepEqual(last(game, game.second), { type: "ended", data: { winner, line, reason: "line" } });
    assert.deepEqual([game.viewOf("ana").winner, game.viewOf("ana").line, game.viewOf("ana").deadline], [winner, line, null]);
  });
}

test("a full board without a line is a draw", async () => {
  const game = play(await table(), 0, 1, 2, 4, 3, 5, 7, 6, 8);
  assert.deepEqual(last(game, "ana"), { type: "ended", data: { winner: "draw", line: null, reason: "full" } });
});

test("an illegal move is refused with its reason, and changes nothing", async () => {
  const game = play(await table(), 0);
  const before = game.saved;
  const reasons = [
    [game.second, { cell: 0 }, "the cell is taken"],
    [game.first, { cell: 1 }, "it is not your turn"],
    ...[9, -1, 1.5, "1", null, undefined].map((cell) => [game.second, { cell }, "a move needs a cell from 0 to 8"]),
    [game.second, null, "a move needs a cell from 0 to 8"],
  ];
  for (const [name, data, reason] of reasons) {
    game.message(name, "move", data);
    assert.equal(game.refused, reason);
    assert.deepEqual(game.effects, [{ tag: "refuse", val: reason }]);
  }
  assert.deepEqual(game.saved, before);
});

test("a decided game takes no moves", async () => {
  const game = play(await table(), ...FIRST_WINS);
  assert.equal(game.message(game.second, "move", { cell: 8 }).refused, "the game is over");
});

test("the result reaches the lobby at once, and only once", async () => {
  const game = play(await table(), ...FIRST_WINS);
  const players = [{ id: "ana", name: "ana" }, { id: "bo", name: "bo" }];
  assert.deepEqual(game.sent, [{ room: LOBBY, data: { result: { winner: seatOf(game.first), players } } }]);
  game.leave("ana").leave("bo");
  assert.equal(game.sent.length, 1);
  assert.deepEqual(game.outcome, { winner: seatOf(game.first), players });
});

test("a player whose turn times out has lost", async () => {
  const game = play(await table({ turnSeconds: 5 }), 0);
  game.wait(4_999);
  assert.equal(game.state.winner, null);
  game.wait(1);
  assert.deepEqual(last(game, "ana"), { type: "ended", data: { winner: seatOf(game.first), line: null, reason: "time" } });
});

test("each move restarts the clock for the other player, and a decided game has none", async () => {
  const game = await table({ turnSeconds: 5 });
  for (const [n, cell] of [0, 3, 1, 4].entries()) {
    game.wait(4_000).message([game.first, game.second][n % 2], "move", { cell });
  }
  assert.equal(game.state.winner, null);
  game.message(game.first, "move", { cell: 2 });
  assert.equal(game.timers.has("turn"), false);
});

test("the opponent receives `away` and `back`, and the game continues", async () => {
  const game = play(await table(), 0);
  game.drop("ana");
  assert.deepEqual(game.viewOf("bo").seats[0], { name: "ana", connected: false });
  game.reconnect("ana");
  assert.deepEqual(game.viewOf("bo").seats[0], { name: "ana", connected: true });
  assert.deepEqual(game.received("bo").slice(-2), [{ type: "away", data: { seat: 0 } }, { type: "back", data: { seat: 0 } }]);
  assert.equal(game.state.winner, null);
});

for (const reason of ["left", "timed-out", "moved", "kicked"]) {
  test(`a seat that has ${reason} forfeits`, async () => {
    const game = play(await table(), 0);
    game.leave("ana", reason);
    assert.deepEqual(last(game, "bo"), { type: "ended", data: { winner: 1, line: null, reason: "left" } });
    assert.equal(game.outcome, undefined, "bo may stay and look");
    game.leave("bo");
    assert.equal(game.outcome.winner, 1);
  });
}

test("both must request a rematch; then the other player begins", async () => {
  const game = play(await table(), ...FIRST_WINS);
  assert.deepEqual(game.message("ana", "rematch").reply, { started: false });
  assert.deepEqual(game.message("ana", "rematch").reply, { started: false });
  assert.deepEqual(game.viewOf("bo").rematch, [true, false]);
  assert.deepEqual(game.message("bo", "rematch").reply, { started: true });
  const { board, turn, winner, line, deadline, rematch } = game.viewOf("ana");
  assert.deepEqual({ board, turn, winner, line, deadline, rematch }, {
    board: emptyBoard(), turn: seatOf(game.second), winner: null, line: null, deadline: game.now + 30_000, rematch: [false, false],
  });
  assert.equal(game.timers.has("over"), false);
});

test("a rematch has a result of its own", async () => {
  const game = play(await table(), ...FIRST_WINS);
  game.message("ana", "rematch").message("bo", "rematch");
  [game.first, game.second] = [game.second, game.first];
  play(game, ...FIRST_WINS);
  assert.deepEqual(game.sent.map(({ data }) => data.result.winner), [seatOf(game.second), seatOf(game.first)]);
});

test("no rematch during the game, nor with a player that has left", async () => {
  const game = await table();
  assert.equal(game.message("ana", "rematch").refused, "the game is not over");
  play(game, ...FIRST_WINS).leave("bo");
  assert.equal(game.message("ana", "rematch").refused, "your opponent has left");
});

test("a player that leaves is moved to the lobby", async () => {
  const game = await table();
  assert.deepEqual(game.message("ana", "leave").reply, {});
  assert.deepEqual(game.moves, [{ session: session("ana"), room: "00000000000000000000000000010bb7", options: {} }]);
  assert.equal(game.state.winner, null, "not before the lobby has taken her");
  game.moved("ana");
  assert.equal(game.state.winner, 1);
});

test("without a rematch all members are moved to the lobby, and the room ends", async () => {
  const game = play(await table(), ...FIRST_WINS);
  game.join("cid");
  game.wait(120_000);
  assert.deepEqual(game.moves.map((move) => move.session), ["ana", "bo", "cid"].map(session));
  assert.equal(game.join("dee").refused, "the game is over");
  assert.equal(game.message("ana", "rematch").refused, "the room is closing");
  game.moved("ana").moved("bo").moved("cid");
  assert.equal(game.outcome.winner, seatOf(game.first));
});

test("a member that cannot be moved does not keep the room open", async () => {
  const game = play(await table(), ...FIRST_WINS);
  game.drop("bo").wait(120_000).moved("ana");
  assert.equal(game.outcome, undefined);
  game.wait(10_000);
  assert.equal(game.outcome.winner, seatOf(game.first));
});

test("when both players have left, watchers are moved to the lobby", async () => {
  const game = play(await table(), ...FIRST_WINS);
  game.join("cid").leave("ana").leave("bo");
  assert.deepEqual(game.moves.map((move) => move.session), [session("cid")]);
  game.moved("cid");
  assert.equal(game.outcome.winner, seatOf(game.first));
});

test("other members may watch, and not play", async () => {
  const game = await table();
  game.join("cid");
  assert.deepEqual(game.effects[0], { tag: "admit", val: "spectator" });
  assert.equal(game.viewOf("cid").you, null);
  for (const type of ["move", "rematch"]) assert.equal(game.message("cid", type, { cell: 0 }).refused, "you are watching");
  game.leave("cid");
  assert.equal(game.state.winner, null);
});

test("a second tab of a player at the board watches", async () => {
  const game = await table();
  game.join("ana", { tab: "ana's other tab" });
  assert.deepEqual(game.effects[0], { tag: "admit", val: "spectator" });
  game.leave("ana's other tab");
  assert.equal(game.state.winner, null);
});

test("a player that returns in a new session takes the seat, and the old session no longer counts", async () => {
  const game = await table();
  game.drop("ana").join("ana", { tab: "ana anew" });
  assert.equal(game.viewOf("ana anew").you, 0);
  game.leave("ana", "timed-out");
  assert.equal(game.state.winner, null);
  assert.equal(game.viewOf("bo").seats[0].connected, true);
});

test("when no player joins, a timeout decides the game and the room ends", async () => {
  const game = await room("tic-tac-toe", { seats: ["ana", "bo"] }, { creator: LOBBY });
  game.wait(30_000);
  assert.notEqual(game.outcome, undefined);
});

test("a room with an option for other seats is not created", async () => {
  for (const seats of [[], ["ana"], ["ana", "bo", "cid"], "ab"]) await assert.rejects(room("tic-tac-toe", { seats }), /seats .* is \[player, player\]/);
});

test("in a room without seats the first two who come sit down, and the game begins with the second", async () => {
  const game = await room("tic-tac-toe", { turnSeconds: 5 }, { creator: LOBBY });
  game.join("ana").join("ana", { tab: "ana's other tab" });
  assert.deepEqual(game.viewOf("ana").seats, [{ name: "ana", connected: true }, { name: "", connected: false }]);
  assert.equal(game.viewOf("ana's other tab").you, null, "one player has one seat");
  assert.equal(game.viewOf("ana").deadline, null);
  assert.equal(game.message("ana", "move", { cell: 0 }).refused, "your opponent has not come yet");
  game.leave("ana").join("bo");
  assert.equal(game.viewOf("bo").seats[0].name, "bo", "a seat of one who left before the game is free");
  game.wait(60_000).join("cid");
  assert.equal(game.viewOf("cid").deadline, game.now + 5_000);
  game.join("dan");
  assert.equal(game.viewOf("dan").you, null);
  game.leave("cid");
  assert.equal(game.viewOf("bo").winner, 0, "from here on, who leaves has lost");
});

test("a turn has half a minute where a client requests something that is no time", async () => {
  for (const turnSeconds of [0, -1, 1e9, "x", null, {}]) {
    const game = await room("tic-tac-toe", { seats: ["ana", "bo"], turnSeconds });
    game.join("ana").join("bo");
    assert.equal(game.viewOf("ana").deadline, game.now + 30_000);
  }
});

test("the first player is random: of many rooms, both", async () => {
  const firsts = new Set();
  for (let n = 0; n < 20; n++) firsts.add((await table({}, roomNamed(`table ${n}`))).state.first);
  assert.deepEqual(firsts, new Set([0, 1]));
});

/** A small generator of random numbers, so that a failure can be reproduced by its seed. */
function chance(seed) {
  return (n) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
}

for (let seed = 1; seed <= 25; seed++) {
  test(`random play, seed ${seed}: the room agrees with the rules`, async () => {
    const draw = chance(seed);
    const game = await table();
    const board = emptyBoard();
    let turn = game.state.first;
    while (verdict(board) === null) {
      const seat = draw(2), cell = draw(11) - 1;
      const legal = seat === turn && board[cell] === null;
      game.message(["ana", "bo"][seat], "move", { cell });
      assert.equal(game.refused === undefined, legal, `${seat} to ${cell} on ${JSON.stringify(board)}`);
      if (legal) {
        board[cell] = seat;
        turn = 1 - turn;
      }
      assert.deepEqual(game.viewOf("ana").board, board);
    }
    const { winner, line } = verdict(board);
    assert.deepEqual([game.viewOf("bo").winner, game.viewOf("bo").line], [winner, line]);
    assert.equal(game.sent.length, 1);
  });
}
