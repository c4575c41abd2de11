// Sessions and games survive a connection that breaks, and a server that is killed.

import assert from "node:assert/strict";

import { FIRST_WINS, byTurn, pair, play } from "./player.mjs";
import { stories } from "./stories.mjs";

const story = stories();

/** A player's frames from one room, reduced to the parts that are equal for two players that see the same. */
const seen = (player, room) => player.frames.filter((frame) => frame.room === room).map(({ t, seq }) => [t, seq]);
const moves = (player) => player.events.filter(({ type }) => type === "moved").map(({ data }) => data.cell);

story("a player whose connection is lost in mid-game receives every missed frame, in order", async ({ join }) => {
  const [first, second] = await pair(...(await join("Ana", "Bo")));
  const room = first.client.room.id;
  await play([first, second], [0]);
  first.goOffline();
  await second.receives("away");
  await second.sees("who is away", ({ seats }) => !seats[first.view.you].connected);
  const before = seen(first, room).length;
  assert.deepEqual(await second.move(3), {});
  first.goOnline();
  await first.sees("the missed move", ({ board }) => board[3] === second.view.you);
  assert.deepEqual(await second.receives("back"), { seat: first.view.you });
  assert.deepEqual([first.client.resumes, moves(first)], [1, [0, 3]]);
  const missed = seen(first, room).slice(before);
  assert.ok(missed.length >= 2 && missed.every(([t]) => t !== "room"), `frames, not the whole view: ${JSON.stringify(missed)}`);
  await play([first, second], FIRST_WINS.slice(2));
  await second.sees("the end", ({ winner }) => winner === first.view.you);
});

story("a message whose answer was lost with the connection is applied once", async ({ join }) => {
  const [first, second] = await pair(...(await join("Ana", "Bo")));
  const sent = first.move(4);
  first.goOffline();
  first.goOnline();
  assert.deepEqual(await sent.catch(({ code }) => assert.equal(code, "applied") ?? {}), {});
  await second.sees("the move", ({ board }) => board[4] === first.view.you);
  assert.deepEqual(moves(second), [4]);
  await play([second, first], [0]);
});

story("both lose their connections again and again, and finish their game", async ({ join }) => {
  const players = await pair(...(await join("Ana", "Bo")));
  const [first, second] = players;
  for (const [n, cell] of FIRST_WINS.entries()) {
    const mover = players[n % 2];
    const sent = mover.move(cell);
    for (const player of players) (player.goOffline(), player.goOnline());
    await sent.catch(({ code }) => assert.equal(code, "applied"));
    for (const player of players) await player.sees(`a mark on ${cell}`, ({ board }) => board[cell] !== null);
  }
  for (const player of players) {
    await player.sees("the end", ({ winner }) => winner === first.view.you);
    assert.ok(player.client.resumes >= 5);
  }
  assert.notEqual(first.view.you, second.view.you);
});

story("a server that is killed and restarted has every move that it answered", async ({ join, system }) => {
  const players = await pair(...(await join("Ana", "Bo")));
  const [first, second] = players;
  const room = first.client.room;
  await play(players, [0, 3]);
  const sent = first.move(1);
  await system.kill();
  await system.revive();
  await sent.catch(({ code }) => assert.equal(code, "applied"));
  for (const player of players) {
    await player.resumed(1);
    await player.sees("all moves", ({ board }) => [0, 3, 1].every((cell) => board[cell] !== null));
  }
  assert.equal(first.client.room, room, "the room is the same, and so is the session");
  await play([second, first], [4, 2]);
  for (const player of players) await player.sees("the end", ({ winner }) => winner === first.view.you);
});

story("a game whose server is killed after every move ends as its moves require", async ({ join, system }) => {
  const players = await pair(...(await join("Ana", "Bo")));
  for (const [n, cell] of FIRST_WINS.entries()) {
    assert.deepEqual(await players[n % 2].move(cell), {});
    await system.kill();
    await system.revive();
    for (const player of players) await player.sees(`a mark on ${cell}`, ({ board }) => board[cell] !== null);
  }
  const [first] = players;
  for (const player of players) await player.sees("the end", ({ winner, line }) => winner === first.view.you && line.join() === "0,1,2");
});

story("the lobby and its queue survive a kill, except players that were disconnected by it", async ({ join, system }) => {
  const [ana] = await join("Ana");
  await ana.find();
  await system.kill();
  await system.revive();
  await ana.resumed(1);
  assert.equal(ana.client.room.kind, "lobby");
  const [bo] = await join("Bo");
  await ana.find();
  await bo.find();
  await Promise.all([ana.in("tic-tac-toe"), bo.in("tic-tac-toe")]);
  assert.equal(byTurn(ana, bo).length, 2);
});

story("a token resumes its session once", async ({ raw }) => {
  const first = await raw();
  const { resume, session, room } = await first.arrive("Ana");
  // A session that has sent nothing has no seat in the lobby once its connection is gone.
  first.send({ t: "msg", id: 1, type: "games" });
  await first.frame("reply");
  first.terminate();
  const second = await raw();
  const again = await second.hello({ resume, last: { [room]: 1 } });
  assert.deepEqual([again.recovered, again.session, again.name], [true, session, "Ana"]);
  assert.notEqual(again.resume, resume);
  // A message over the new connection shows that the new token has arrived: from then on the old one is invalid.
  second.send({ t: "msg", id: 2, type: "games" });
  await second.frame("reply", ({ id }) => id === 2);
  const thief = await raw();
  const stranger = await thief.hello({ resume, name: "Mallory" });
  assert.deepEqual([stranger.recovered, stranger.name], [false, "Mallory"]);
  assert.notEqual(stranger.session, session);
  second.send({ t: "msg", id: 3, type: "games" });
  await second.frame("reply", ({ id }) => id === 3);
});

story("a token that was never issued begins a new session", async ({ raw }) => {
  for (const resume of ["", "x", "0".repeat(64), "'; DROP TABLE sessions"]) {
    const { recovered } = await (await raw()).hello({ resume });
    assert.equal(recovered, false, resume);
  }
});

story("the latest connection of a session replaces the one before, which is closed with a reason", async ({ raw }) => {
  const first = await raw();
  const { resume, room } = await first.arrive();
  const second = await raw();
  await second.hello({ resume, last: { [room]: 1 } });
  assert.equal((await first.closed()).code, 4504);
  second.send({ t: "msg", id: 1, type: "games" });
  assert.equal((await second.frame("reply")).id, 1);
});

story("a client that names no last frame receives the whole view", async ({ raw }) => {
  const first = await raw();
  const { resume, room } = await first.arrive();
  first.terminate();
  const second = await raw();
  await second.hello({ resume });
  const shown = await second.frame("room");
  assert.deepEqual([shown.room, shown.view], [room, { kinds: ["tic-tac-toe"] }]);
});

story("a client that names a room that its session was never in is sent a left frame", async ({ raw }) => {
  const first = await raw();
  const { resume, room } = await first.arrive();
  first.terminate();
  const second = await raw();
  const nowhere = "f".repeat(32);
  await second.hello({ resume, last: { [room]: 1, [nowhere]: 7 } });
  const left = await second.frame("left");
  assert.deepEqual([left.room, left.seq], [nowhere, 8]);
});
