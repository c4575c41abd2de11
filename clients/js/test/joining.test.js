// Stories of the way into a room and back: `joinOrCreate`, `create`, `join`, `find` and `leave`.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { FakeServer, GAME, LOBBY, event, left, reply, room, seated, tab } from "./fake.js";

const clock = mock.timers;
beforeEach(() => clock.enable({ apis: ["setTimeout"] }));
afterEach(() => clock.reset());

const OTHER = "b".repeat(32);
const CODE = "KQ7F2M";
const lobby = (seq) => ({ ...room(LOBBY, seq), kind: "lobby" });
const code = (wanted) => (error) => error.name === "ChorusError" && error.code === wanted;
const refusal = (seq, id, message, code = "refused") => ({ t: "error", room: LOBBY, seq, id, code, message });
/** Resolves when everything due in this turn of the event loop has run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A client that calls `begin` before it is connected, and its server, where the lobby has received the request. */
function requesting(begin = (client) => client.joinOrCreate("tic-tac-toe"), options) {
  const server = new FakeServer();
  const client = server.client(options);
  const entered = begin(client);
  client.connect();
  server.accept();
  server.send(lobby(1));
  return { server, client, entered };
}

const requests = (server, type = "joinOrCreate") => server.received.filter((frame) => frame.type === type);
const placed = (seq, id = GAME) => event(LOBBY, seq, "placed", { room: id, code: CODE });

describe("joinOrCreate", () => {
  test("sends the lobby one request, and resolves with the room that the session joins, with its view and its code", async () => {
    const { server, client, entered } = requesting((client) => client.joinOrCreate("tic-tac-toe", { level: 3 }));
    assert.deepEqual(server.received.slice(1), [{ t: "msg", id: 1, room: LOBBY, type: "joinOrCreate", data: { kind: "tic-tac-toe", options: { level: 3 } } }]);
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), room(GAME, 1, { board: [] }), left(LOBBY, 4));
    const game = await entered;
    assert.equal(game, client.room);
    assert.deepEqual([game.id, game.code, game.view], [GAME, CODE, { board: [] }]);
    game.send("move", { cell: 4 });
    assert.equal(server.received.at(-1).room, GAME);
    assert.equal(await client.joinOrCreate("tic-tac-toe"), game, "it is there already");
    await assert.rejects(client.joinOrCreate("chess"), code("elsewhere"));
  });

  test("waits where the lobby has players wait, and is placed later", async () => {
    const { server, entered } = requesting();
    server.send(reply(LOBBY, 2, 1, { position: 1 }), placed(3), room(GAME, 1));
    assert.equal((await entered).code, CODE);
  });

  test("rejects with the lobby's refusal", async () => {
    const { server, entered } = requesting();
    server.send(refusal(2, 1, "there is no such game"));
    await assert.rejects(entered, { code: "refused", message: "there is no such game" });
    server.send(room(GAME, 1));
    assert.equal(requests(server).length, 1);
  });

  test("rejects with the lobby's answer that it has failed", async () => {
    const { server, entered } = requesting();
    server.send(reply(LOBBY, 2, 1, { failed: { code: "full", reason: "too many players are waiting" } }));
    await assert.rejects(entered, { code: "full", message: "too many players are waiting" });
  });

  for (const reason of ["full", "locked", "ended", "not_found"]) {
    test(`is repeated once when the room is ${reason}`, async () => {
      const { server, entered } = requesting();
      const failed = (seq, id) => event(LOBBY, seq, "failed", { room: id, code: reason, reason: `it is ${reason}` });
      server.send(reply(LOBBY, 2, 1, { room: GAME, code: CODE }));
      await settled();
      server.send(failed(3, GAME));
      assert.equal(requests(server).length, 2);
      server.send(placed(4, OTHER), reply(LOBBY, 5, 2, { room: OTHER, code: CODE }), failed(6, OTHER));
      await assert.rejects(entered, { code: reason, message: `it is ${reason}` });
    });
  }

  test("is not repeated when the room refuses the player", async () => {
    const { server, entered } = requesting();
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), event(LOBBY, 4, "failed", { room: GAME, code: "refused", reason: "no strangers" }));
    await assert.rejects(entered, { code: "refused", message: "no strangers" });
    assert.equal(requests(server).length, 1);
  });

  test("that waits repeats its request after a reconnection, and ignores the refusal of a session on its way", async () => {
    const { server, entered } = requesting();
    server.send(reply(LOBBY, 2, 1, { position: 1 }));
    await settled();
    server.drop(1006);
    clock.tick(0);
    server.accept({ recovered: true });
    assert.equal(requests(server).length, 1, "once on each connection");
    server.send(refusal(3, 2, "you are on your way to a room"));
    await settled();
    server.send(room(GAME, 1));
    assert.equal((await entered).id, GAME);
  });

  test("goes into another room than the one that was named, when what has happened meanwhile was not received", async () => {
    const { server, entered } = requesting();
    server.send(reply(LOBBY, 2, 1, { position: 1 }), placed(3));
    await settled();
    server.drop(1006);
    clock.tick(0);
    server.accept({ recovered: true });
    // Instead of the frames that it has missed: `failed`, the reply to a second request, and the event of the room that it is in.
    server.send({ ...lobby(9), ack: 1 }, room(OTHER, 1));
    assert.equal((await entered).id, OTHER);
  });

  test("whose answer is lost repeats its request", async () => {
    const { server, entered } = requesting();
    server.drop(1006);
    clock.tick(0);
    server.accept({ recovered: true });
    assert.deepEqual(requests(server).map(({ id }) => id), [1]);
    server.send({ t: "error", id: 1, code: "applied", message: "it is" });
    await settled();
    assert.deepEqual(requests(server).map(({ id }) => id), [1, 2]);
    server.send(refusal(2, 2, "you are on your way to a room"), room(GAME, 1));
    assert.equal((await entered).id, GAME);
  });

  test("continues in the new session when the server no longer has the old one", async () => {
    const { server, entered } = requesting();
    server.drop(1006);
    clock.tick(0);
    server.accept({ session: "s2", recovered: false });
    server.send(lobby(1));
    assert.equal(requests(server).length, 1);
    server.send(room(GAME, 1));
    assert.equal((await entered).id, GAME);
  });

  test("sends a restarted lobby a new request", async () => {
    const { server, entered } = requesting();
    server.send(reply(LOBBY, 2, 1, { position: 1 }), left(LOBBY, 3, "ended"), lobby(4));
    assert.equal(requests(server).length, 2);
    server.send(room(GAME, 1));
    assert.equal((await entered).id, GAME);
  });

  test("ends with the client, whichever side closes the connection", async () => {
    const one = requesting();
    one.client.close();
    await assert.rejects(one.entered, code("closed"));
    await assert.rejects(one.client.joinOrCreate("tic-tac-toe"), code("closed"));
    const other = requesting();
    other.server.drop(4503, "kicked");
    await assert.rejects(other.entered, code("closed"));
  });

  test("is ended by a signal, and canceled in the lobby", async () => {
    const stop = new AbortController(), { signal } = stop;
    const { server, entered } = requesting((client) => client.joinOrCreate("tic-tac-toe", {}, { signal }));
    server.send(reply(LOBBY, 2, 1, { position: 1 }));
    stop.abort(new Error("enough"));
    await assert.rejects(entered, /enough/);
    assert.equal(server.received.at(-1).type, "cancel");
    await assert.rejects(requesting((client) => client.joinOrCreate("tic-tac-toe", {}, { signal })).entered, /enough/);
  });
});

describe("create", () => {
  test("goes into a new room, also from the lobby of one who was in another", async () => {
    const { server, client, entered } = requesting((client) => client.create("tic-tac-toe", { turnSeconds: 5 }, { private: true, name: "friday" }));
    assert.deepEqual(server.received.at(-1).data, { kind: "tic-tac-toe", options: { turnSeconds: 5 }, name: "friday", private: true });
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), room(GAME, 1), left(LOBBY, 4));
    assert.equal((await entered).code, CODE);
    assert.equal(await client.join("friday"), client.room);
  });

  test("rejects when the name is taken, or the room could not be created", async () => {
    const taken = requesting((client) => client.create("chat", {}, { name: "friday" }));
    taken.server.send(reply(LOBBY, 2, 1, { failed: { code: "taken", reason: "there is a room friday already" } }));
    await assert.rejects(taken.entered, code("taken"));
    const { server, entered } = requesting((client) => client.create("tic-tac-toe"));
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), event(LOBBY, 4, "failed", { room: GAME, code: "failed", reason: "it threw" }));
    await assert.rejects(entered, { code: "failed", message: "it threw" });
    assert.equal(requests(server, "create").length, 1, "another room is another request");
  });
});

describe("join", () => {
  test("goes into the room of a code", async () => {
    const { server, client, entered } = requesting((client) => client.join("kq7-f2m", { as: "guest" }));
    assert.deepEqual(server.received.at(-1), { t: "msg", id: 1, room: LOBBY, type: "join", data: { room: "kq7-f2m", options: { as: "guest" } } });
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), room(GAME, 1));
    const game = await entered;
    for (const text of [GAME, CODE, "kq7 f2m"]) assert.equal(await client.join(text), game, "it is there already");
    await assert.rejects(client.join("ABCDEF"), code("elsewhere"));
    await assert.rejects(client.join(7), TypeError);
  });

  test("rejects when there is no such room, and is not repeated when it is full", async () => {
    const missing = requesting((client) => client.join(CODE));
    missing.server.send(reply(LOBBY, 2, 1, { failed: { code: "not_found", reason: `there is no room ${CODE}` } }));
    await assert.rejects(missing.entered, { code: "not_found", message: `there is no room ${CODE}` });
    const full = requesting((client) => client.join(CODE));
    full.server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), event(LOBBY, 4, "failed", { room: GAME, code: "full", reason: "the room is full" }));
    await assert.rejects(full.entered, code("full"));
    assert.equal(requests(full.server, "join").length, 1);
  });

  /** A tab in which the code has led to a room, and which joins by it again after a reload. */
  async function reloaded() {
    const storage = tab();
    const { server, entered } = requesting((client) => client.join(CODE), { storage });
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), room(GAME, 1), left(LOBBY, 4));
    await entered;
    const again = new FakeServer(), client = again.client({ storage });
    const joined = client.join(CODE);
    client.connect();
    return { again, joined };
  }

  test("after a reload, the session is in the room of the code already", async () => {
    const { again, joined } = await reloaded();
    again.accept({ recovered: true });
    again.send(room(GAME, 5));
    const game = await joined;
    assert.deepEqual([game.id, game.code, again.received.length], [GAME, CODE, 1]);
  });

  test("in a new session, what the lobby has said of the old one's rooms is void", async () => {
    const { again, joined } = await reloaded();
    again.accept({ session: "s2", recovered: false });
    again.send(lobby(1), placed(2, OTHER), reply(LOBBY, 3, 2, { room: OTHER, code: CODE }), room(OTHER, 1));
    assert.equal((await joined).id, OTHER);
  });
});

test("`find` lists the lobby's rooms, and nothing from inside of a game", async () => {
  const { server, client } = requesting();
  const found = client.find("chat", { topic: "cats" });
  assert.deepEqual(server.received.at(-1), { t: "msg", id: 2, room: LOBBY, type: "find", data: { kind: "chat", where: { topic: "cats" } } });
  server.send(reply(LOBBY, 2, 2, [{ room: GAME, code: CODE, players: 1 }]));
  assert.deepEqual(await found, [{ room: GAME, code: CODE, players: 1 }]);
  await assert.rejects(seated().client.find("chat"), code("elsewhere"));
});

describe("leave", () => {
  test("goes back to the lobby, and resolves with it", async () => {
    const { server, client } = seated();
    const game = client.room, reasons = [];
    game.onLeft((reason) => reasons.push(reason));
    const back = game.leave();
    assert.deepEqual(server.received.at(-1), { t: "msg", id: 1, room: GAME, type: "leave", data: {} });
    server.send(reply(GAME, 2, 1), lobby(1), left(GAME, 3));
    assert.deepEqual([await back, reasons], [client.room, ["moved"]]);
    assert.equal(client.room.id, LOBBY);
    assert.equal(await game.leave(), client.room, "it has left already");
    assert.equal(await client.room.leave(), client.room);
    assert.equal(server.received.length, 2);
  });

  test("rejects with the room's refusal, and when the lobby does not take the player", async () => {
    const one = seated();
    const refused = one.client.room.leave();
    one.server.send({ t: "error", room: GAME, seq: 2, id: 1, code: "refused", message: "not in the middle of a hand" });
    await assert.rejects(refused, { code: "refused", message: "not in the middle of a hand" });
    const other = seated();
    const failed = other.client.room.leave();
    other.server.send(reply(GAME, 2, 1), event(GAME, 3, "failed", { room: LOBBY, reason: "the lobby restarts in 1 s" }));
    await assert.rejects(failed, { code: "failed", message: "the lobby restarts in 1 s" });
  });

  test("waits for the lobby when the room has ended, and ends with the client", async () => {
    const { server, client } = seated();
    const game = client.room;
    server.send(left(GAME, 2, "ended"));
    const back = game.leave();
    server.send(lobby(1));
    assert.equal((await back).id, LOBBY);
    const other = seated();
    const never = other.client.room.leave();
    other.client.close();
    await assert.rejects(never, code("closed"));
  });
});

describe("while a move is half done", () => {
  /** The session is in the game, and the lobby that it came from has not sent `left` yet. */
  async function arriving() {
    const { server, client, entered } = requesting();
    server.send(placed(2), reply(LOBBY, 3, 1, { room: GAME, code: CODE }), room(GAME, 1));
    return { server, client, before: client.rooms[0], game: await entered };
  }

  /** The session is in the lobby again, and the game that it came from has not sent `left` yet. */
  async function returning() {
    const { server, client } = seated();
    const game = client.room, back = game.leave();
    server.send(reply(GAME, 2, 1), lobby(1));
    assert.equal(await back, client.room);
    return { server, client, game };
  }

  test("`leave` leaves the room, and resolves with the lobby's new stay", async () => {
    const { server, client, before, game } = await arriving();
    const back = game.leave();
    assert.deepEqual(server.received.at(-1), { t: "msg", id: 2, room: GAME, type: "leave", data: {} });
    server.send(left(LOBBY, 4), reply(GAME, 2, 2), left(GAME, 3), lobby(5));
    const there = await back;
    assert.deepEqual([there.id, there.left, there === before, there === client.room], [LOBBY, null, false, true]);
  });

  test("`leave` waits for the lobby's new stay, also when the room is left before the lobby's old one", async () => {
    const { server, client, before, game } = await arriving();
    const first = game.leave();
    server.send(reply(GAME, 2, 2), left(GAME, 3));
    const second = game.leave();
    server.send(left(LOBBY, 4), lobby(5));
    assert.deepEqual([await first, await second], [client.room, client.room]);
    assert.notEqual(client.room, before);
  });

  test("`leave` of the room before goes nowhere: the session is in another room", async () => {
    const { client, before } = await arriving();
    await assert.rejects(before.leave(), code("elsewhere"));
  });

  test("`leave` rejects when the room moves the session to another room than the lobby", async () => {
    const { server, client } = seated();
    const game = client.room, back = game.leave();
    server.send(room(OTHER, 1), { t: "error", room: GAME, seq: 2, id: 1, code: "not_in_room", message: "it has moved" }, left(GAME, 3));
    await assert.rejects(back, code("elsewhere"));
    await assert.rejects(game.leave(), code("elsewhere"), "also afterwards");
  });

  test("`joinOrCreate`, `create` and `join` request a room, and none resolves with the one that the session is leaving", async () => {
    for (const again of [(client) => client.joinOrCreate("tic-tac-toe"), (client) => client.create("tic-tac-toe"), (client) => client.join(GAME)]) {
      const { server, client, game } = await returning();
      const next = again(client);
      assert.deepEqual([server.received.at(-1).room, server.received.at(-1).id], [LOBBY, 2]);
      server.send(left(GAME, 3), placed(2), reply(LOBBY, 3, 2, { room: GAME, code: CODE }), room(GAME, 4), left(LOBBY, 4));
      assert.equal(await next, client.room);
      assert.notEqual(client.room, game, "another stay in the same room is another object");
    }
  });

  test("`find` is for the room that the session is in now", async () => {
    const { client } = await arriving();
    await assert.rejects(client.find("chat"), code("elsewhere"));
    const other = await returning();
    other.client.find("chat");
    assert.deepEqual([other.server.received.at(-1).room, other.server.received.at(-1).type], [LOBBY, "find"]);
  });

  test("a view of the room before does not make it the current one", async () => {
    const { server, client, game } = await arriving();
    const entered = [];
    client.on("room", ({ id }) => entered.push(id));
    server.send(lobby(4));
    assert.deepEqual([client.room, entered, client.rooms.map(({ id }) => id)], [game, [], [LOBBY, GAME]]);
    client.send("move", { cell: 4 });
    assert.equal(server.received.at(-1).room, GAME);
  });

  test("a view after frames that are missing may be that of a new stay, and makes its room the current one", async () => {
    const { server, client, game } = await arriving();
    const back = game.leave();
    server.drop(1006);
    clock.tick(0);
    server.accept({ recovered: true });
    server.send({ ...lobby(9), ack: 1 }, left(GAME, 3));
    assert.equal(await back, client.room);
    assert.equal(client.room.id, LOBBY);
  });

  test("the events of a stay that has ended are not those of the next one", async () => {
    const { server, client, before, game } = await arriving();
    const heard = [];
    before.onEvent((type) => heard.push(["before", type]));
    server.send(event(LOBBY, 4, "welcome"), left(LOBBY, 5));
    game.leave();
    server.send(lobby(6));
    client.room.onEvent((type) => heard.push(["after", type]));
    server.send(event(LOBBY, 7, "welcome"));
    assert.deepEqual(heard, [["before", "welcome"], ["after", "welcome"]]);
  });

  test("after a reload, in which the lobby's old stay may come last, a request ends in the room that the session is in", async () => {
    const { server, client } = seated();
    server.send(lobby(1));
    const joined = client.join(GAME);
    server.send({ t: "error", id: 1, code: "not_in_room", message: "the session is not in that room" }, left(LOBBY, 2));
    assert.equal((await joined).id, GAME);
    assert.equal(await joined, client.room);
  });
});
