// Stories of `enter`: from the lobby into a room.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { GAME, LOBBY, FakeServer, event, left, reply, room } from "./fake.js";

const clock = mock.timers;
beforeEach(() => clock.enable({ apis: ["setTimeout"] }));
afterEach(() => clock.reset());

const lobby = (seq) => ({ ...room(LOBBY, seq), kind: "lobby" });
const code = (wanted) => (error) => error.name === "ChorusError" && error.code === wanted;
/** Resolves when everything due in this turn of the event loop has run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A client that called `enter` before it was connected, and its server, where the lobby has received the request. */
function entering(options) {
  const server = new FakeServer();
  const client = server.client();
  const entered = client.enter("tic-tac-toe", options);
  client.connect();
  server.accept();
  server.send(lobby(1));
  return { server, client, entered };
}

const finds = (server) => server.received.filter(({ type }) => type === "find");

test("the lobby receives one request, and `enter` resolves with the room that the session joins", async () => {
  const { server, client, entered } = entering();
  assert.deepEqual(server.received.slice(1), [{ t: "msg", id: 1, room: LOBBY, type: "find", data: { kind: "tic-tac-toe" } }]);
  server.send(reply(LOBBY, 2, 1, { position: 1 }));
  server.send(room(GAME, 1));
  server.send(left(LOBBY, 3));
  const game = await entered;
  assert.equal(game, client.room);
  assert.equal(game.id, GAME);
  game.send("move", { cell: 4 });
  assert.equal(server.received.at(-1).room, GAME);
  assert.equal(await client.enter("tic-tac-toe"), game, "it is there already");
  await assert.rejects(client.enter("chess"), code("elsewhere"));
});

test("`enter` rejects with the lobby's refusal", async () => {
  const { server, entered } = entering();
  server.send({ t: "error", room: LOBBY, seq: 2, id: 1, code: "refused", message: "there is no such game" });
  await assert.rejects(entered, { code: "refused", message: "there is no such game" });
  server.send(room(GAME, 1));
  assert.equal(finds(server).length, 1);
});

test("a room that refuses the player is followed by one more request", async () => {
  const { server, entered } = entering();
  server.send(reply(LOBBY, 2, 1, { position: 1 }));
  server.send(event(LOBBY, 3, "failed", { room: GAME, reason: "the room is full" }));
  assert.equal(finds(server).length, 2);
  server.send(event(LOBBY, 4, "failed", { room: GAME, reason: "the room is full" }));
  await assert.rejects(entered, { code: "failed", message: "the room is full" });
});

test("a lobby that the session returns to receives the request again, and its refusal of a session in a move is ignored", async () => {
  const { server, entered } = entering();
  server.send(reply(LOBBY, 2, 1, { position: 1 }));
  server.drop(1006);
  clock.tick(0);
  server.accept({ recovered: true });
  assert.equal(finds(server).length, 1, "once on each connection");
  server.send({ t: "error", room: LOBBY, seq: 3, id: 2, code: "refused", message: "you are on your way to a game" });
  await settled();
  server.send(room(GAME, 1));
  assert.equal((await entered).id, GAME);
});

test("`enter` continues in the new session when the server no longer has the old one", async () => {
  const { server, entered } = entering();
  server.drop(1006);
  clock.tick(0);
  server.accept({ session: "s2", recovered: false });
  server.send(lobby(1));
  assert.equal(finds(server).length, 1);
  server.send(room(GAME, 1));
  assert.equal((await entered).id, GAME);
});

test("a restarted lobby receives a new request", async () => {
  const { server, entered } = entering();
  server.send(reply(LOBBY, 2, 1, { position: 1 }));
  server.send(left(LOBBY, 3, "ended"));
  server.send(lobby(4));
  assert.equal(finds(server).length, 2);
  server.send(room(GAME, 1));
  assert.equal((await entered).id, GAME);
});

test("`enter` ends with the client, whichever side closes the connection", async () => {
  const one = entering();
  one.client.close();
  await assert.rejects(one.entered, code("closed"));
  await assert.rejects(one.client.enter("tic-tac-toe"), code("closed"));
  const other = entering();
  other.server.drop(4503, "kicked");
  await assert.rejects(other.entered, code("closed"));
});

test("a signal ends the wait, and cancels it in the lobby", async () => {
  const stop = new AbortController();
  const { server, entered } = entering({ signal: stop.signal, data: { level: 3 } });
  assert.deepEqual(server.received.at(-1).data, { level: 3, kind: "tic-tac-toe" });
  server.send(reply(LOBBY, 2, 1, { position: 1 }));
  stop.abort(new Error("enough"));
  await assert.rejects(entered, /enough/);
  assert.equal(server.received.at(-1).type, "cancel");
  await assert.rejects(entering({ signal: stop.signal }).entered, /enough/);
});
