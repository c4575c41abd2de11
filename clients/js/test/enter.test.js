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
function asking(options) {
  const server = new FakeServer();
  const client = server.client();
  const entered = client.enter("tic-tac-toe", options);
  client.connect();
  server.accept();
  server.say(lobby(1));
  return { server, client, entered };
}

const finds = (server) => server.heard.filter(({ type }) => type === "find");

test("the lobby is asked once, and it resolves with the room that the session comes into", async () => {
  const { server, client, entered } = asking();
  assert.deepEqual(server.heard.slice(1), [{ t: "msg", id: 1, room: LOBBY, type: "find", data: { kind: "tic-tac-toe" } }]);
  server.say(reply(LOBBY, 2, 1, { position: 1 }));
  server.say(room(GAME, 1));
  server.say(left(LOBBY, 3));
  const game = await entered;
  assert.equal(game, client.room);
  assert.equal(game.id, GAME);
  game.send("move", { cell: 4 });
  assert.equal(server.heard.at(-1).room, GAME);
  assert.equal(await client.enter("tic-tac-toe"), game, "it is there already");
  await assert.rejects(client.enter("chess"), code("elsewhere"));
});

test("what the lobby refuses, it rejects with", async () => {
  const { server, entered } = asking();
  server.say({ t: "error", room: LOBBY, seq: 2, id: 1, code: "refused", message: "there is no such game" });
  await assert.rejects(entered, { code: "refused", message: "there is no such game" });
  server.say(room(GAME, 1));
  assert.equal(finds(server).length, 1);
});

test("a room that turns the player away is followed by one more try", async () => {
  const { server, entered } = asking();
  server.say(reply(LOBBY, 2, 1, { position: 1 }));
  server.say(event(LOBBY, 3, "failed", { room: GAME, reason: "the room is full" }));
  assert.equal(finds(server).length, 2);
  server.say(event(LOBBY, 4, "failed", { room: GAME, reason: "the room is full" }));
  await assert.rejects(entered, { code: "failed", message: "the room is full" });
});

test("a lobby that the session comes back to is asked again, and may refuse one that is on its way", async () => {
  const { server, entered } = asking();
  server.say(reply(LOBBY, 2, 1, { position: 1 }));
  server.drop(1006);
  clock.tick(0);
  server.accept({ recovered: true });
  assert.equal(finds(server).length, 1, "once on each connection");
  server.say({ t: "error", room: LOBBY, seq: 3, id: 2, code: "refused", message: "you are on your way to a game" });
  await settled();
  server.say(room(GAME, 1));
  assert.equal((await entered).id, GAME);
});

test("a session that the server no longer knew goes on as the new one", async () => {
  const { server, entered } = asking();
  server.drop(1006);
  clock.tick(0);
  server.accept({ session: "s2", recovered: false });
  server.say(lobby(1));
  assert.equal(finds(server).length, 1);
  server.say(room(GAME, 1));
  assert.equal((await entered).id, GAME);
});

test("a lobby that began anew is asked anew", async () => {
  const { server, entered } = asking();
  server.say(reply(LOBBY, 2, 1, { position: 1 }));
  server.say(left(LOBBY, 3, "ended"));
  server.say(lobby(4));
  assert.equal(finds(server).length, 2);
  server.say(room(GAME, 1));
  assert.equal((await entered).id, GAME);
});

test("it ends with the client, by a close of either side", async () => {
  const one = asking();
  one.client.close();
  await assert.rejects(one.entered, code("closed"));
  await assert.rejects(one.client.enter("tic-tac-toe"), code("closed"));
  const other = asking();
  other.server.drop(4503, "kicked");
  await assert.rejects(other.entered, code("closed"));
});

test("a signal ends the wait, and the lobby is told", async () => {
  const stop = new AbortController();
  const { server, entered } = asking({ signal: stop.signal, data: { level: 3 } });
  assert.deepEqual(server.heard.at(-1).data, { level: 3, kind: "tic-tac-toe" });
  server.say(reply(LOBBY, 2, 1, { position: 1 }));
  stop.abort(new Error("enough"));
  await assert.rejects(entered, /enough/);
  assert.equal(server.heard.at(-1).type, "cancel");
  await assert.rejects(asking({ signal: stop.signal }).entered, /enough/);
});
