// Every rule of the checker is broken once, by a history that is otherwise correct; and the correct history passes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { check } from "./checker.mjs";

const ROOM = "r";

/** Ana wins by the upper row against Ben, and Cleo watches. The rematch, which is the second round, is a draw. */
function history() {
  return { players: [player("Ana", 0), player("Ben", 1), player("Cleo", null)] };
}

const WON = { board: [0, 0, 0, 1, 1, null, null, null, null], winner: 0, line: [0, 1, 2] };
const DRAWN = { board: [0, 1, 0, 0, 1, 1, 1, 0, 0], winner: "draw", line: null };

function player(name, you) {
  const rounds = [WON, DRAWN].map((final) => ({
    final: structuredClone(final),
    timedOut: false,
    sends: movesOf(final, you),
  }));
  rounds[0].sends.push({ type: "move", data: { cell: 9 }, legal: false, outcome: "error", code: "refused" });
  const sends = rounds.flatMap((round) => round.sends);
  return { name, resets: 0, frames: frames(), sends, games: [{ room: ROOM, you, rounds }] };
}

function movesOf({ board }, you) {
  const cells = board.flatMap((owner, cell) => (owner === you && you !== null ? [cell] : []));
  return cells.map((cell) => ({ type: "move", room: ROOM, data: { cell }, legal: true, outcome: "reply" }));
}

function frames() {
  const moved = (seq, cell) => ({ t: "event", room: ROOM, seq, type: "moved", data: { cell } });
  return [
    { t: "welcome" },
    { t: "room", room: ROOM, seq: 1 },
    moved(2, 0),
    { t: "msg", out: true, id: 1, room: ROOM, type: "move" },
    { t: "reply", room: ROOM, seq: 3, id: 1 },
    moved(4, 3),
    { t: "event", room: ROOM, seq: 5, type: "ended", data: {} },
    moved(6, 0),
    { t: "room", room: ROOM, seq: 20 },
    moved(21, 0),
    { t: "left", room: ROOM, seq: 22 },
  ];
}

test("a history without a fault has no violation", () => {
  assert.deepEqual(check(history()), []);
});

/** By the rule that must be found: a change to Ana's part of the history. */
const planted = {
  "a frame is missing": (ana) => ana.frames.splice(4, 1),
  "a frame came twice": (ana) => ana.frames.splice(5, 0, ana.frames[4]),
  "a move was applied twice": (ana) => (ana.frames[5].data.cell = 0),
  "a message has no answer": (ana) => (ana.sends[0].outcome = "pending"),
  "a message has several answers": (ana) => (ana.frames[6] = { ...ana.frames[4], seq: 5 }),
  "a session was lost": (ana) => (ana.resets = 1),
  "a legal move was refused": (ana) => Object.assign(ana.sends[0], { outcome: "error", code: "refused" }),
  "an illegal move was taken": (ana) => (ana.sends[0].legal = false),
  "a game never ended": (ana) => (ana.games[0].rounds[1].final = null),
  "an acknowledged move was lost": (ana) => (ana.games[0].rounds[0].final.board[1] = null),
  "a mark that nobody made": (ana) => ana.games[0].rounds[1].sends.pop(),
  "players disagree": (ana) => (ana.games[0].rounds[0].final.board[8] = 1),
};
for (const [rule, plant] of Object.entries(planted)) {
  test(`found: ${rule}`, () => {
    const bad = history();
    plant(bad.players[0]);
    const found = check(bad).map((violation) => violation.rule);
    assert.ok(found.includes(rule), `found only: ${found}`);
  });
}

test("found: a watcher saw another game", () => {
  const bad = history();
  bad.players[2].games[0].rounds[0].final.board[5] = 1;
  assert.ok(check(bad).some(({ rule }) => rule === "a watcher saw another game"));
});

test("found: an edge answers a message that was sent once, and the room answered too", () => {
  const bad = history();
  bad.players[0].frames.push({ t: "error", id: 1 });
  assert.ok(check(bad).some(({ rule }) => rule === "a message has several answers"));
});

test("a message that was sent twice may be answered by the room and by the edge", () => {
  const fine = history();
  fine.players[0].frames.push({ t: "msg", out: true, id: 1 }, { t: "error", id: 1 });
  assert.deepEqual(check(fine), []);
});

/** Ends that contradict the board. */
const wrongEnds = [
  ["the line is another's", { ...WON, winner: 1 }],
  ["the line shown is none", { ...WON, line: null }],
  ["the line shown is none", { ...WON, line: [3, 4, 5] }],
  ["nobody has won yet", { board: [0, 1, null, null, null, null, null, null, null], winner: 0, line: null }],
  ["it was a draw", { ...DRAWN, winner: 0 }],
  ["there is no line", { ...DRAWN, line: [0, 1, 2] }],
  ["somebody moved out of turn", { board: [0, 0, 0, null, null, null, null, null, null], winner: 0, line: [0, 1, 2] }],
];
for (const [why, final] of wrongEnds) {
  test(`found: ended otherwise: ${why}`, () => {
    const bad = history();
    for (const { games } of bad.players) games[0].rounds[0].final = final;
    assert.ok(
      check(bad).some(({ what }) => what.startsWith(why)),
      JSON.stringify(check(bad)),
    );
  });
}

test("a turn that ran out may end a game without a line", () => {
  const fine = history();
  const final = { board: [0, 1, null, null, null, null, null, null, null], winner: 0, line: null };
  for (const { games } of fine.players) {
    Object.assign(games[0].rounds[0], { final, timedOut: true });
    games[0].rounds[0].sends = games[0].you === null ? [] : movesOf(final, games[0].you);
  }
  assert.deepEqual(check(fine), []);
});

test("a rematch that begins after a player stopped waiting is not checked", () => {
  const fine = history();
  const begun = { sends: [], final: null, timedOut: false };
  fine.players[0].games[0].walkedOut = 1;
  for (const { games } of fine.players.slice(0, 2)) games[0].rounds.push({ ...begun });
  assert.deepEqual(check(fine), []);
  delete fine.players[0].games[0].walkedOut;
  assert.notDeepEqual(check(fine), []);
});

test("a spectator may see the end of a rematch that belongs to no game", () => {
  const fine = history();
  const gone = { board: Array(9).fill(null), winner: 1, line: null };
  fine.players[0].games[0].walkedOut = 2;
  fine.players[1].games[0].rounds.push({ sends: [], final: gone, timedOut: false });
  for (const deadline of [null, 1]) {
    fine.players[2].games[0].rounds = [{ sends: [], final: gone, timedOut: false, deadline }];
    assert.deepEqual(check(fine), []);
  }
});

test("a move whose answer is lost may be on the board, or not", () => {
  const fine = history();
  Object.assign(fine.players[0].games[0].rounds[0].sends[0], { outcome: "error", code: "applied" });
  assert.deepEqual(check(fine), []);
});
