// The lobby's stories.

import assert from "node:assert/strict";
import { test } from "node:test";

import { room, session } from "./story.mjs";

/** A lobby with these players in it, whose greetings have been read. */
async function lobbyWith(...names) {
  const lobby = await room("lobby");
  names.forEach((name) => lobby.join(name));
  names.forEach((name) => lobby.received(name));
  return lobby;
}

const find = { kind: "tic-tac-toe" };
const types = (events) => events.map(({ type }) => type);

/** A lobby from which ana and bo have moved to a game, and that game's room. */
async function lobbyWithGame() {
  const lobby = await lobbyWith("ana", "bo", "cid");
  lobby.message("ana", "find", find).message("bo", "find", find);
  const [{ room }] = lobby.moves;
  lobby.moved("ana").moved("bo");
  lobby.received("cid");
  return { lobby, game: room };
}

test("a player that joins is greeted by name, with the length of the queue", async () => {
  const lobby = await lobbyWith("ana");
  lobby.message("ana", "find", find).join("bo");
  assert.deepEqual(lobby.received("bo"), [{ type: "welcome", data: { name: "bo", waiting: 1 } }]);
});

test("two players that look for a game get a room with their seats, and are moved to it", async () => {
  const lobby = await lobbyWith("ana", "bo");
  assert.deepEqual(lobby.message("ana", "find", find).reply, { position: 1 });
  assert.deepEqual(lobby.message("bo", "find", find).reply, { position: 2 });
  assert.deepEqual(lobby.created, [{ kind: "tic-tac-toe", options: { seats: ["ana", "bo"], names: ["ana", "bo"] } }]);
  assert.deepEqual(lobby.moves.map((move) => move.session), [session("ana"), session("bo")]);
  assert.equal(lobby.moves[0].room, lobby.moves[1].room);
});

test("the length of the queue is broadcast when it changes, and only then", async () => {
  const lobby = await lobbyWith("ana", "bo", "cid");
  lobby.message("ana", "find", find).message("ana", "find", find).message("bo", "find", find);
  assert.deepEqual(lobby.received("cid"), [{ type: "waiting", data: { count: 1 } }, { type: "waiting", data: { count: 0 } }]);
});

test("a player that asks twice keeps one place", async () => {
  const lobby = await lobbyWith("ana");
  assert.deepEqual(lobby.message("ana", "find", find).reply, { position: 1 });
  assert.deepEqual(lobby.message("ana", "find", find).reply, { position: 1 });
  assert.equal(lobby.state.queue.length, 1);
  assert.deepEqual(lobby.created, []);
});

test("two tabs of one player are never paired with each other", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.join("ana", { tab: "ana's other tab" });
  lobby.message("ana", "find", find);
  assert.deepEqual(lobby.message("ana's other tab", "find", find).reply, { position: 2 });
  assert.deepEqual(lobby.created, []);
  lobby.message("bo", "find", find);
  assert.deepEqual(lobby.created[0].options.seats, ["ana", "bo"]);
  assert.deepEqual(lobby.state.queue.map((waiting) => waiting.session), [session("ana's other tab")]);
});

test("a player that cancels leaves the queue; to cancel without waiting is no error", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "find", find);
  assert.deepEqual(lobby.message("ana", "cancel").reply, {});
  assert.deepEqual(lobby.message("ana", "cancel").reply, {});
  assert.deepEqual(lobby.message("bo", "find", find).reply, { position: 1 });
  assert.deepEqual(lobby.created, []);
});

test("a player that disconnects while queued is not paired, nor after a reconnect without a request", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "find", find).drop("ana").reconnect("ana").message("bo", "find", find);
  assert.deepEqual(lobby.created, []);
  assert.deepEqual(types(lobby.received("bo")), ["waiting", "waiting", "waiting"]);
});

test("a player that leaves while queued is not paired", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "find", find).leave("ana").message("bo", "find", find);
  assert.deepEqual(lobby.created, []);
});

test("an unknown game is refused, with a list of the games", async () => {
  const lobby = await lobbyWith("ana");
  for (const kind of ["chess", "lobby", "toString", 7, ["tic-tac-toe"], { toString: "x" }, ""]) {
    assert.match(lobby.message("ana", "find", { kind }).refused, /^there is no game .*; there are: tic-tac-toe$/);
  }
  assert.deepEqual(lobby.state.queue, []);
});

test("a player in a move to a game can neither request another nor cancel", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "find", find).message("bo", "find", find);
  assert.equal(lobby.message("ana", "find", find).refused, "you are on your way to a game");
  assert.equal(lobby.message("ana", "cancel").refused, "you are on your way to a game");
});

test("a failed move is reported to the player, who may try again", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "find", find).message("bo", "find", find);
  const [{ room }] = lobby.moves;
  lobby.received("ana");
  lobby.moveFailed("ana", room, "the room is full");
  assert.deepEqual(lobby.received("ana"), [{ type: "failed", data: { room, reason: "the room is full" } }]);
  assert.deepEqual(lobby.message("ana", "find", find).reply, { position: 1 });
});

test("a room that cannot be created is reported once to both players, and they do not stay queued", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "find", find).message("bo", "find", find);
  const [{ room }] = lobby.moves;
  ["ana", "bo"].forEach((name) => lobby.received(name));
  lobby.ended(room, null, "no such kind").moveFailed("ana", room, "there is no such room").moveFailed("bo", room, "there is no such room");
  for (const name of ["ana", "bo"]) assert.deepEqual(lobby.received(name), [{ type: "failed", data: { room, reason: "there is no such room" } }]);
  assert.equal(lobby.created.length, 1);
  assert.deepEqual(lobby.message("ana", "games").reply, []);
  assert.deepEqual(lobby.message("ana", "find", find).reply, { position: 1 });
});

test("running games are listed, and a third player may watch", async () => {
  const { lobby, game } = await lobbyWithGame();
  assert.deepEqual(lobby.message("cid", "games").reply, [{ room: game, kind: "tic-tac-toe", players: ["ana", "bo"], since: lobby.now }]);
  assert.deepEqual(lobby.message("cid", "watch", { room: game }).reply, {});
  assert.deepEqual(lobby.moves, [{ session: session("cid"), room: game, options: { watch: true } }]);
});

test("a player that watches leaves the queue", async () => {
  const { lobby, game } = await lobbyWithGame();
  lobby.message("cid", "find", find).message("cid", "watch", { room: game });
  assert.deepEqual(lobby.state.queue, []);
});

test("only games of this lobby may be watched", async () => {
  const { lobby } = await lobbyWithGame();
  for (const room of ["0".repeat(32), "__proto__", 5, undefined]) {
    assert.equal(lobby.message("cid", "watch", { room }).refused, "there is no such game");
  }
});

const result = (winner) => ({ result: { winner, players: [{ id: "1", name: "ana" }, { id: "2", name: "bo" }] } });

test("a result is broadcast at once, and the last fifty are kept", async () => {
  const { lobby, game } = await lobbyWithGame();
  for (let i = 0; i < 60; i++) lobby.roomMessage(game, result(i % 2));
  assert.deepEqual(lobby.received("cid").at(-1), { type: "result", data: { room: game, winner: 1, players: ["ana", "bo"] } });
  const kept = lobby.message("cid", "look").reply.results;
  assert.equal(kept.length, 50);
  assert.deepEqual(kept.at(-1), { room: game, winner: 1, players: ["ana", "bo"], at: lobby.now });
});

test("`look` returns all at once: the length of the queue, one's own place, games and results", async () => {
  const { lobby, game } = await lobbyWithGame();
  const games = [{ room: game, kind: "tic-tac-toe", players: ["ana", "bo"], since: lobby.now }];
  assert.deepEqual(lobby.message("cid", "look").reply, { waiting: 0, position: null, games, results: [] });
  lobby.message("cid", "find", find);
  assert.deepEqual(lobby.message("cid", "look").reply, { waiting: 1, position: 1, games, results: [] });
});

test("a message of another room is a result only if it has the form of one", async () => {
  const { lobby, game } = await lobbyWithGame();
  for (const data of [null, 5, {}, { result: null }, { result: { winner: 0 } }, { result: { players: [] } }]) lobby.roomMessage(game, data);
  assert.deepEqual(lobby.received("cid"), []);
});

test("of very many games the newest fifty are listed, and the others end as well", async () => {
  const lobby = await lobbyWith("cid");
  const rooms = [];
  for (let n = 0; n < 60; n++) {
    lobby.join(`a${n}`).join(`b${n}`).message(`a${n}`, "find", find).message(`b${n}`, "find", find);
    rooms.push(lobby.moves.at(-1).room);
    lobby.moved(`a${n}`).moved(`b${n}`);
  }
  assert.deepEqual(lobby.message("cid", "games").reply.map(({ room }) => room), rooms.slice(10));
  lobby.received("cid");
  lobby.roomMessage(rooms[0], result("draw")).ended(rooms[0], { winner: "draw" });
  assert.equal(lobby.received("cid").at(-1).data.room, rooms[0]);
});

test("a game that has ended is not listed", async () => {
  const { lobby, game } = await lobbyWithGame();
  lobby.ended(game, { winner: 0 });
  assert.deepEqual(lobby.message("cid", "games").reply, []);
});

test("no member sees another's session", async () => {
  const { lobby } = await lobbyWithGame();
  assert.deepEqual(lobby.viewOf("cid"), { kinds: ["tic-tac-toe"] });
});

test("in a large lobby, the length of the queue is broadcast at most twice a second", async () => {
  const names = Array.from({ length: 150 }, (_, n) => `p${n}`);
  const lobby = await lobbyWith(...names);
  for (let n = 0; n < 5; n++) lobby.message(`p${n}`, "find", find);
  assert.deepEqual(lobby.received("p149"), []);
  lobby.wait(500);
  assert.deepEqual(lobby.received("p149"), [{ type: "waiting", data: { count: 1 } }]);
  lobby.wait(60_000);
  assert.deepEqual(lobby.received("p149"), []);
});

test("a lobby keeps nothing about members that only sit in it", async () => {
  const before = (await lobbyWith("ana")).saved.state.length;
  const after = (await lobbyWith(...Array.from({ length: 50 }, (_, n) => `p${n}`))).saved.state.length;
  assert.equal(after, before);
});
