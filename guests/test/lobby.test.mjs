// The lobby's stories: the default lobby, with kinds of the tests' own.

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { bundle } from "../build/bundle.mjs";
import { NAMES_KEPT, ROOMS_KEPT, forget, giveName, keep, keptById, keptByText, noCodes, wrongWithName } from "../lobby/codes.js";
import { OPEN_KEPT } from "../lobby/open.js";
import { Crowd, dice } from "./crowd.mjs";
import { Story, compiled, session } from "./story.mjs";

/** As in the lobby. */
const WAITING_KEPT = 5_000;
const ENTRY = fileURLToPath(new URL("../lobby/index.js", import.meta.url));
const LOBBY = "00000000000000000000000000010bb7";
/** As the build makes them of the kinds' classes. */
const KINDS = {
  chat: { maxPlayers: 0, seats: 0, match: [], create: true },
  duel: { maxPlayers: 2, seats: 2, match: ["mode"], create: false },
  party: { maxPlayers: 4, seats: 0, match: [], create: true },
  ranked: { maxPlayers: 2, seats: 0, match: ["mode", "level"], create: true },
  "tic-tac-toe": { maxPlayers: 4, seats: 2, match: [], create: true },
};
const script = compiled(await bundle(ENTRY, dirname(ENTRY), KINDS));

/** A lobby with these players in it, whose greetings have been read. */
async function lobbyWith(...names) {
  const lobby = new Story(script, { kind: "lobby", id: LOBBY }).create();
  names.forEach((name) => lobby.join(name));
  names.forEach((name) => lobby.received(name));
  return lobby;
}

const find = { kind: "tic-tac-toe" };
const types = (events) => events.map(({ type }) => type);

/** A lobby from which ana and bo have moved to a game, and that game's room. */
async function lobbyWithGame() {
  const lobby = await lobbyWith("ana", "bo", "cid");
  lobby.message("ana", "joinOrCreate", find).message("bo", "joinOrCreate", find);
  const [{ room }] = lobby.moves;
  lobby.moved("ana").moved("bo");
  lobby.received("cid");
  return { lobby, game: room };
}

test("a player that joins is greeted by name", async () => {
  const lobby = await lobbyWith("ana");
  assert.deepEqual(lobby.join("bo").received("bo"), [{ type: "welcome", data: { name: "bo" } }]);
});

test("two players that look for a game get a room with their seats, and are moved to it", async () => {
  const lobby = await lobbyWith("ana", "bo");
  assert.deepEqual(lobby.message("ana", "joinOrCreate", find).reply, { position: 1 });
  assert.deepEqual(lobby.message("bo", "joinOrCreate", find).reply, { position: 2 });
  assert.deepEqual(lobby.created, [{ kind: "tic-tac-toe", options: { seats: ["ana", "bo"], names: ["ana", "bo"] } }]);
  assert.deepEqual(lobby.moves.map((move) => move.session), [session("ana"), session("bo")]);
  assert.equal(lobby.moves[0].room, lobby.moves[1].room);
});

test("the length of the queue is broadcast when it changes, and only then", async () => {
  const lobby = await lobbyWith("ana", "bo", "cid");
  lobby.message("ana", "joinOrCreate", find).message("ana", "joinOrCreate", find).message("bo", "joinOrCreate", find);
  assert.deepEqual(lobby.received("cid"), [{ type: "waiting", data: { count: 1 } }, { type: "waiting", data: { count: 0 } }]);
});

test("a player that asks twice keeps one place", async () => {
  const lobby = await lobbyWith("ana");
  assert.deepEqual(lobby.message("ana", "joinOrCreate", find).reply, { position: 1 });
  assert.deepEqual(lobby.message("ana", "joinOrCreate", find).reply, { position: 1 });
  assert.equal(lobby.state.waiting, 1);
  assert.deepEqual(lobby.created, []);
});

test("two tabs of one player are never paired with each other", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.join("ana", { tab: "ana's other tab" });
  lobby.message("ana", "joinOrCreate", find);
  assert.deepEqual(lobby.message("ana's other tab", "joinOrCreate", find).reply, { position: 2 });
  assert.deepEqual(lobby.created, []);
  lobby.message("bo", "joinOrCreate", find);
  assert.deepEqual(lobby.created[0].options.seats, ["ana", "bo"]);
  assert.deepEqual(lobby.state.queue, { "tic-tac-toe []": [session("ana's other tab")] });
});

test("a player that cancels leaves the queue; to cancel without waiting is no error", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "joinOrCreate", find);
  assert.deepEqual(lobby.message("ana", "cancel").reply, {});
  assert.deepEqual(lobby.message("ana", "cancel").reply, {});
  assert.deepEqual(lobby.message("bo", "joinOrCreate", find).reply, { position: 1 });
  assert.deepEqual(lobby.created, []);
});

test("a player that disconnects while queued is not paired, nor after a reconnect without a request", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "joinOrCreate", find).drop("ana").reconnect("ana").message("bo", "joinOrCreate", find);
  assert.deepEqual(lobby.created, []);
  assert.deepEqual(types(lobby.received("bo")), ["waiting", "waiting", "waiting"]);
});

test("a player that leaves while queued is not paired", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "joinOrCreate", find).leave("ana").message("bo", "joinOrCreate", find);
  assert.deepEqual(lobby.created, []);
});

test("an unknown game is refused, with a list of the games", async () => {
  const lobby = await lobbyWith("ana");
  for (const kind of ["chess", "lobby", "toString", "constructor", 7, ["tic-tac-toe"], { toString: "x" }, ""]) {
    assert.match(lobby.message("ana", "joinOrCreate", { kind }).refused, /^there is no game .*; there are: chat, duel, party, ranked, tic-tac-toe$/);
  }
  assert.deepEqual(lobby.state.queue, {});
});

test("a player in a move to a game can neither request another nor cancel", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "joinOrCreate", find).message("bo", "joinOrCreate", find);
  assert.equal(lobby.message("ana", "joinOrCreate", find).refused, "you are on your way to a room");
  assert.equal(lobby.message("ana", "cancel").refused, "you are on your way to a room");
});

test("a failed move is reported to the player, who may try again", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "joinOrCreate", find).message("bo", "joinOrCreate", find);
  const [{ room }] = lobby.moves;
  lobby.received("ana");
  lobby.moveFailed("ana", room, "the room is full");
  assert.deepEqual(lobby.received("ana"), [{ type: "failed", data: { room, code: "full", reason: "the room is full" } }]);
  assert.deepEqual(lobby.message("ana", "joinOrCreate", find).reply, { position: 1 });
});

test("a room that cannot be created is reported once to both players, and they do not stay queued", async () => {
  const lobby = await lobbyWith("ana", "bo");
  lobby.message("ana", "joinOrCreate", find).message("bo", "joinOrCreate", find);
  const [{ room }] = lobby.moves;
  ["ana", "bo"].forEach((name) => lobby.received(name));
  lobby.ended(room, null, "no such kind").moveFailed("ana", room, "there is no such room").moveFailed("bo", room, "there is no such room");
  for (const name of ["ana", "bo"]) assert.deepEqual(lobby.received(name), [{ type: "failed", data: { room, code: "failed", reason: "no such kind" } }]);
  assert.equal(lobby.created.length, 1);
  assert.deepEqual(lobby.message("ana", "games").reply, []);
  assert.deepEqual(lobby.message("ana", "joinOrCreate", find).reply, { position: 1 });
});

test("running games are listed, and a third player may watch", async () => {
  const { lobby, game } = await lobbyWithGame();
  assert.deepEqual(lobby.message("cid", "games").reply, [{ room: game, kind: "tic-tac-toe", players: ["ana", "bo"], since: lobby.now }]);
  assert.deepEqual(lobby.message("cid", "watch", { room: game }).reply, {});
  assert.deepEqual(lobby.moves, [{ session: session("cid"), room: game, options: { watch: true } }]);
});

test("a player that watches leaves the queue", async () => {
  const { lobby, game } = await lobbyWithGame();
  lobby.message("cid", "joinOrCreate", find).message("cid", "watch", { room: game });
  assert.deepEqual(lobby.state.queue, {});
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
  lobby.message("cid", "joinOrCreate", find);
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
    lobby.join(`a${n}`).join(`b${n}`).message(`a${n}`, "joinOrCreate", find).message(`b${n}`, "joinOrCreate", find);
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
  assert.deepEqual(lobby.viewOf("cid"), { kinds: Object.keys(KINDS) });
});

test("in a large lobby, the length of the queue is broadcast at most twice a second", async () => {
  const names = Array.from({ length: 150 }, (_, n) => `p${n}`);
  const lobby = await lobbyWith(...names);
  for (let n = 0; n < 5; n++) lobby.message(`p${n}`, "joinOrCreate", find);
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

// ---- rooms with free seats ----

const into = (lobby, name, kind, options) => lobby.message(name, "joinOrCreate", { kind, options }).reply;
const names = (prefix, count) => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

/** Players who request rooms of this kind, and are moved to them. Their rooms, in the order of the requests. */
function all(lobby, players, kind) {
  return players.map((player) => {
    const { room } = into(lobby, player, kind);
    lobby.moved(player);
    return room;
  });
}

test("a player joins a room with a free seat, or a new one, and is notified of its code before the move", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const { room, code } = into(lobby, "ana", "party", { topic: "cats" });
  assert.match(code, /^[2-9A-HJ-NP-Z]{6}$/);
  assert.deepEqual(lobby.created, [{ kind: "party", options: { topic: "cats" } }]);
  assert.deepEqual(lobby.effects.map(({ tag }) => tag), ["create-room", "send", "move-to", "view", "reply"].filter((tag) => lobby.effects.some((effect) => effect.tag === tag)));
  assert.deepEqual(lobby.received("ana"), [{ type: "placed", data: { room, code } }]);
  assert.deepEqual(into(lobby, "bo", "party", { topic: "dogs" }), { room, code });
  assert.deepEqual(lobby.moves, [
    { session: session("ana"), room, options: { topic: "cats", "@lobby": "play" } },
    { session: session("bo"), room, options: { topic: "dogs", "@lobby": "play" } },
  ]);
  assert.equal(lobby.created.length, 1);
});

test("of a thousand players who request rooms of four at once, none is in a room that is over-full, and none is alone", () => {
  for (const seed of [1, 2, 3]) {
    const roll = dice(seed), crowd = new Crowd(script, { capacity: 4 });
    const players = names("p", 1_000);
    players.forEach((player) => crowd.join(player));
    players.forEach((player) => crowd.message(player, "joinOrCreate", { kind: "party" }));
    assert.equal(crowd.created, 250);
    // The moves end in any order, and the sessions of some players end on the way: others take their seats.
    let lost = 0;
    while (crowd.moves.length > 0) {
      const move = crowd.moves[roll(crowd.moves.length)];
      if (roll(20) > 0) {
        crowd.arrive(move);
        continue;
      }
      crowd.moves.splice(crowd.moves.indexOf(move), 1);
      crowd.leave(move.player);
      crowd.join(`late ${(lost += 1)}`);
      crowd.message(`late ${lost}`, "joinOrCreate", { kind: "party" });
    }
    assert.ok(lost > 20);
    const sizes = [...crowd.rooms.values()].map(({ size }) => size).sort();
    assert.deepEqual([sizes.length, sizes[0], sizes.at(-1), crowd.failures], [250, 4, 4, []], `seed ${seed}`);
    crowd.assertRestored();
  }
});

test("while players come and go, no room is over-full, and none is created while another has a seat that is known to be free", () => {
  for (const seed of [4, 5, 6]) {
    const roll = dice(seed), crowd = new Crowd(script, { capacity: 4 });
    let number = 0;
    for (let turn = 0; turn < 3_000; turn++) {
      const what = roll(10), rooms = [...crowd.rooms];
      if (what < 5) {
        const player = `p${(number += 1)}`, free = crowd.state.open.count, { created } = crowd;
        crowd.join(player);
        crowd.message(player, "joinOrCreate", { kind: "party" });
        assert.equal(crowd.created, created + (free > 0 ? 0 : 1));
      } else if (what < 8 && crowd.moves.length > 0) {
        crowd.arrive(crowd.moves[roll(crowd.moves.length)]);
      } else if (rooms.length > 0) {
        const [room, there] = rooms[roll(rooms.length)], [gone] = there;
        if (gone === undefined) continue;
        there.delete(gone);
        crowd.report(room, { freed: 1 });
      }
    }
    while (crowd.moves.length > 0) crowd.arrive(crowd.moves[0]);
    for (const [room, there] of crowd.rooms) {
      const open = crowd.state.open.byKey["party []"]?.find((one) => one.room === room);
      assert.deepEqual([there.size <= 4, open?.taken ?? 4], [true, there.size], "the lobby has counted right");
    }
    assert.deepEqual(crowd.failures, []);
  }
});

test("a seat that a room reports free is taken by the next player, and a full room by none", async () => {
  const lobby = await lobbyWith(...names("p", 10));
  const [room] = all(lobby, names("p", 4), "party");
  assert.notEqual(into(lobby, "p4", "party").room, room, "it is full");
  lobby.moved("p4").roomMessage(room, { lobby: { freed: 1 } });
  const other = into(lobby, "p5", "party").room;
  assert.notEqual(other, room, "the other has been waiting longer");
  lobby.moved("p5");
  all(lobby, ["p6", "p7"], "party");
  assert.equal(into(lobby, "p8", "party").room, room);
});

test("a room that refuses a player as full or locked is offered no more, until it reports a free seat or that it is unlocked", async () => {
  for (const [reason, code, report] of [["the room is full", "full", { freed: 1 }], ["the room is locked", "locked", { locked: false }]]) {
    const lobby = await lobbyWith("ana", "bo", "cid");
    const { room } = into(lobby, "ana", "party");
    lobby.received("ana");
    lobby.moveFailed("ana", room, reason);
    assert.deepEqual(lobby.received("ana"), [{ type: "failed", data: { room, code, reason } }]);
    assert.notEqual(into(lobby, "bo", "party").room, room);
    lobby.moveFailed("bo", lobby.moves.at(-1).room, reason).roomMessage(room, { lobby: report });
    assert.equal(into(lobby, "cid", "party").room, room);
  }
});

test("the seat of a player that a room refuses, or whose session ends on the way, is free", async () => {
  const lobby = await lobbyWith(...names("p", 8));
  const [room] = all(lobby, names("p", 3), "party");
  lobby.message("p3", "join", { room });
  lobby.received("p3");
  lobby.moveFailed("p3", room, "no strangers here");
  assert.deepEqual(lobby.received("p3"), [{ type: "failed", data: { room, code: "refused", reason: "no strangers here" } }]);
  assert.equal(into(lobby, "p4", "party").room, room);
  lobby.leave("p4", "timed-out");
  assert.equal(into(lobby, "p5", "party").room, room);
});

// ---- rooms that are not as the lobby believes ----

/** Players with a room each, in order. */
function hosts(lobby, players, kind, options) {
  return players.map((player) => {
    const { room, code } = lobby.message(player, "create", { kind, options }).reply;
    lobby.moved(player);
    return { room, code };
  });
}
const goingTo = (lobby, name) => lobby.moves.findLast((move) => move.session === session(name))?.room;
const listed = (lobby, name, kind) => lobby.message(name, "find", { kind }).reply.map(({ room, players }) => [room, players]);

test("a seat that a spectator has taken is not offered, and one that a player gives up is", async () => {
  const lobby = await lobbyWith(...names("p", 8));
  const [room] = all(lobby, ["p0", "p1"], "ranked");
  lobby.roomMessage(room, { lobby: { freed: 1 } });
  assert.deepEqual(listed(lobby, "p2", "ranked"), [[room, 1]]);
  lobby.roomMessage(room, { lobby: { freed: -1 } });
  assert.deepEqual(listed(lobby, "p2", "ranked"), []);
  assert.notEqual(into(lobby, "p2", "ranked").room, room);
  lobby.roomMessage(room, { lobby: { freed: -1 } }).roomMessage(room, { lobby: { freed: 1 } });
  assert.deepEqual(listed(lobby, "p3", "ranked").at(-1), [room, 1]);
});

test("a room that is unlocked has as many free seats as it reports", async () => {
  const lobby = await lobbyWith(...names("p", 8));
  const [room] = all(lobby, ["p0", "p1"], "party");
  const report = (lobby_) => lobby.roomMessage(room, { lobby: lobby_ });
  report({ locked: true });
  report({ locked: false, players: 3 });
  assert.deepEqual(listed(lobby, "p2", "party"), [[room, 3]]);
  report({ locked: true });
  report({ locked: false, players: 4 });
  assert.deepEqual(listed(lobby, "p2", "party"), []);
  const [open] = all(lobby, ["p3"], "chat");
  lobby.roomMessage(open, { lobby: { locked: true } }).roomMessage(open, { lobby: { locked: false, players: 7 } });
  assert.deepEqual(listed(lobby, "p2", "chat"), [[open, 7]]);
});

test("a player that a room does not take goes on to the next room, and at last to a new one", async () => {
  for (const reason of ["no strangers here", "the room is full", "the room is locked", "the room has ended", "there is no such room"]) {
    const lobby = await lobbyWith(...names("p", 8));
    const [a, b] = hosts(lobby, ["p0", "p1"], "party").map(({ room }) => room);
    lobby.message("p2", "joinOrCreate", { kind: "party", options: { word: "hi" } });
    lobby.received("p2");
    assert.equal(goingTo(lobby, "p2"), a);
    lobby.moveFailed("p2", a, reason);
    assert.equal(goingTo(lobby, "p2"), b, reason);
    assert.equal(lobby.message("p2", "joinOrCreate", { kind: "party" }).refused, "you are on your way to a room");
    lobby.moveFailed("p2", b, reason);
    const made = goingTo(lobby, "p2");
    assert.ok(made !== a && made !== b);
    assert.deepEqual(lobby.created.at(-1), { kind: "party", options: { word: "hi" } });
    assert.deepEqual(lobby.received("p2").map(({ type, data }) => [type, data.room]), [["placed", b], ["placed", made]]);
  }
});

test("the refusal of the room that was created for a player is the last, and has the room's reason", async () => {
  const lobby = await lobbyWith("ana");
  const { room } = into(lobby, "ana", "party");
  lobby.received("ana");
  lobby.moveFailed("ana", room, "say please");
  assert.deepEqual(lobby.received("ana"), [{ type: "failed", data: { room, code: "refused", reason: "say please" } }]);
  assert.deepEqual(lobby.saved.data ?? {}, {}, "nothing is kept of it");
});

test("a player that every room refuses has tried three, and a new one", async () => {
  const lobby = await lobbyWith(...names("p", 8));
  hosts(lobby, names("p", 5), "party");
  into(lobby, "p6", "party");
  const tried = [];
  for (let n = 0; n < 4; n++) lobby.moveFailed("p6", tried[tried.push(goingTo(lobby, "p6")) - 1], `no ${n}`);
  assert.deepEqual([new Set(tried).size, lobby.created.length], [4, 6]);
  assert.deepEqual(lobby.received("p6").at(-1).data, { room: tried[3], code: "refused", reason: "no 3" });
});

test("a move that fails for no reason of the room's is the last", async () => {
  for (const reason of ["the server cannot reach its store now", "a session can be in 8 rooms at most"]) {
    const lobby = await lobbyWith(...names("p", 3));
    const [{ room }] = hosts(lobby, ["p0"], "party");
    into(lobby, "p1", "party");
    lobby.moveFailed("p1", room, reason);
    assert.deepEqual(lobby.received("p1").at(-1), { type: "failed", data: { room, code: "refused", reason } });
    assert.equal(lobby.state.open.byKey["party []"][0].doubtful, undefined);
  }
});

test("who names a room is refused by that room, and goes nowhere else", async () => {
  for (const by of ["room", "code", "name"]) {
    const lobby = await lobbyWith("ana", "bo", "cid");
    const [{ room, code }] = hosts(lobby, ["ana"], "party");
    if (by === "name") lobby.message("cid", "create", { kind: "party", name: "club" }).moved("cid");
    if (by === "name") lobby.message("bo", "joinOrCreate", { kind: "party", name: "club" });
    else lobby.message("bo", "join", { room: by === "room" ? room : code });
    const target = goingTo(lobby, "bo"), created = lobby.created.length;
    lobby.received("bo");
    lobby.moveFailed("bo", target, "not you");
    assert.deepEqual(lobby.received("bo"), [{ type: "failed", data: { room: target, code: "refused", reason: "not you" } }]);
    assert.deepEqual([lobby.created.length, lobby.message("bo", "cancel").reply], [created, {}]);
  }
});

test("a room that has refused a player comes after the others, until it reports its seats", async () => {
  const lobby = await lobbyWith(...names("p", 9));
  const [a, b] = hosts(lobby, ["p0", "p1"], "party").map(({ room }) => room);
  into(lobby, "p2", "party");
  lobby.moveFailed("p2", a, "the game has begun");
  lobby.moved("p2");
  assert.deepEqual(listed(lobby, "p3", "party"), [[a, 1], [b, 2]]);
  assert.deepEqual(all(lobby, ["p3", "p4"], "party"), [b, b], "b is full now");
  assert.deepEqual(all(lobby, ["p5"], "party"), [a], "rather than into a new one");
  const { room: c } = hosts(lobby, ["p6"], "party")[0];
  lobby.roomMessage(a, { lobby: { freed: 1 } });
  assert.deepEqual(all(lobby, ["p7"], "party"), [a]);
  assert.notEqual(c, a);
});

test("large options are not kept while a player is on its way: the first room's answer is the player's", async () => {
  const lobby = await lobbyWith(...names("p", 3));
  const [{ room }] = hosts(lobby, ["p0"], "party");
  into(lobby, "p1", "party", { deck: "x".repeat(1_024) });
  lobby.moveFailed("p1", room, "not you");
  assert.equal(lobby.received("p1").at(-1).type, "failed");
  into(lobby, "p2", "party", { deck: "x".repeat(1_000) });
  lobby.moveFailed("p2", room, "not you");
  assert.equal(lobby.received("p2").at(-1).type, "placed");
});

test("in a minute, a player gets ten new rooms instead of those that do not take it, and then the refusal", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const [{ room }] = hosts(lobby, ["ana"], "party");
  const refusedBy = (times) => {
    into(lobby, "bo", "party");
    for (let n = 0; n < 4 && lobby.moves.length > 0; n++) {
      const going = goingTo(lobby, "bo");
      lobby.moves = lobby.moves.filter((move) => move.room !== going);
      lobby.moveFailed("bo", going, `no ${times}`);
      // What was created for it ends.
      if (going !== room) lobby.ended(going, null);
    }
    return lobby.created.length;
  };
  for (let n = 1; n <= 10; n++) assert.equal(refusedBy(n), 1 + n);
  assert.equal(refusedBy(11), 11);
  assert.deepEqual(lobby.received("bo").at(-1), { type: "failed", data: { room, code: "refused", reason: "no 11" } });
  lobby.wait(60_000);
  assert.equal(refusedBy(12), 12);
});

test("a room learns which newcomers the lobby has counted, and no client can say so itself", async () => {
  const lobby = await lobbyWith(...names("p", 9));
  const note = () => lobby.moves.at(-1).options["@lobby"];
  const { room } = into(lobby, "p0", "ranked", { "@lobby": "x", a: 1 });
  assert.deepEqual([lobby.created[0].options, lobby.moves[0].options], [{ a: 1 }, { a: 1, "@lobby": "play" }]);
  lobby.moved("p0").message("p1", "join", { room });
  assert.equal(note(), "join");
  lobby.message("p2", "join", { room, options: { "@lobby": "play" } });
  assert.equal(note(), undefined, "the room is full: it is not counted");
  lobby.message("p3", "create", { kind: "party", private: true });
  assert.equal(note(), undefined, "nor in a private room");
  lobby.message("p4", "create", { kind: "party" });
  assert.equal(note(), "join");
});

test("while spectators come, sit down and stand up, who means to play gets a seat, and no seat stays empty", () => {
  for (const seed of [7, 8, 9]) {
    // Each room refuses some of the players that come first.
    const refuses = (player, room) => !player.startsWith("late") && (parseInt(room.slice(-2), 16) + Number(player.slice(1))) % 7 === 0;
    const roll = dice(seed), crowd = new Crowd(script, { capacity: 4, refuses });
    let number = 0;
    for (let turn = 0; turn < 3_000; turn++) {
      const what = roll(12), rooms = [...crowd.rooms.keys()], room = rooms[roll(rooms.length || 1)];
      if (what < 4 || room === undefined) {
        const player = `p${(number += 1)}`;
        crowd.join(player);
        crowd.message(player, "joinOrCreate", { kind: "party" });
      } else if (what < 5) {
        const player = `w${(number += 1)}`;
        crowd.join(player);
        crowd.message(player, "join", { room });
      } else if (what < 8 && crowd.moves.length > 0) {
        crowd.arrive(crowd.moves[roll(crowd.moves.length)]);
      } else {
        crowd[["sit", "stand", "playerLeaves", "watcherLeaves"][what % 4]](room);
      }
    }
    while (crowd.moves.length > 0) crowd.arrive(crowd.moves[0]);
    let free = 0;
    for (const [room, { size }] of crowd.rooms) {
      const taken = crowd.state.open.byKey["party []"]?.find((one) => one.room === room)?.taken ?? 4;
      assert.ok(size <= 4 && taken <= size, `seed ${seed}: ${taken} of ${size} are counted`);
      free += 4 - size;
    }
    // All seats that are free are taken before a room is created.
    const { created } = crowd;
    assert.ok(free > 20);
    for (let n = 0; n < free; n++) {
      const player = `late${n}`;
      crowd.join(player);
      crowd.message(player, "joinOrCreate", { kind: "party" });
      while (crowd.moves.length > 0) crowd.arrive(crowd.moves[0]);
    }
    assert.equal(crowd.created, created);
    for (const room of crowd.rooms.keys()) {
      assert.equal(crowd.rooms.get(room).size, 4);
      assert.ok([...crowd.watchers.get(room)].every((player) => !player.startsWith("late")));
    }
    crowd.assertRestored();
  }
});

test("a room that locks itself is offered no more", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const [room] = all(lobby, ["ana"], "party");
  lobby.roomMessage(room, { lobby: { locked: true } });
  assert.notEqual(into(lobby, "bo", "party").room, room);
});

test("an ended room is offered no more, and its code is nobody's", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const { room, code } = into(lobby, "ana", "party");
  lobby.moved("ana").ended(room, null);
  assert.deepEqual(lobby.message("bo", "join", { room: code }).reply, { failed: { code: "not_found", reason: `there is no room ${code}` } });
  assert.notEqual(into(lobby, "bo", "party").room, room);
  assert.equal(lobby.state.codes.count, 1);
});

test("a room without a limit takes everybody", async () => {
  const lobby = await lobbyWith(...names("p", 200));
  assert.equal(new Set(all(lobby, names("p", 200), "chat")).size, 1);
});

test("players meet only where the values agree that their kind compares", async () => {
  const lobby = await lobbyWith(...names("p", 6));
  const fast = into(lobby, "p0", "ranked", { mode: "fast", level: 3, color: "red" }).room;
  assert.notEqual(into(lobby, "p1", "ranked", { mode: "slow", level: 3 }).room, fast);
  assert.notEqual(into(lobby, "p2", "ranked", {}).room, fast);
  assert.equal(into(lobby, "p3", "ranked", { level: 3, mode: "fast", color: "blue" }).room, fast);
  for (const mode of [["fast"], { a: 1 }, "x".repeat(65)]) {
    assert.match(lobby.message("p4", "joinOrCreate", { kind: "ranked", options: { mode } }).refused, /^mode must be a text/);
  }
});

test("players who wait are gathered by the same values, which the room gets", async () => {
  const lobby = await lobbyWith("ana", "bo", "cid");
  assert.deepEqual(into(lobby, "ana", "duel", { mode: "blitz", seats: ["x", "y"] }), { position: 1 });
  assert.deepEqual(into(lobby, "bo", "duel", { mode: "slow; by mail" }), { position: 1 });
  assert.deepEqual(into(lobby, "cid", "duel", { mode: "blitz" }), { position: 2 });
  assert.deepEqual(lobby.created, [{ kind: "duel", options: { mode: "blitz", seats: ["ana", "cid"], names: ["ana", "cid"] } }]);
  assert.deepEqual(lobby.received("cid").find(({ type }) => type === "placed").data.room, lobby.moves[0].room);
});

test("a room that sets other metadata is joined by its new values", async () => {
  const lobby = await lobbyWith("ana", "bo", "cid");
  const { room, code } = into(lobby, "ana", "ranked", { mode: "fast" });
  lobby.moved("ana").roomMessage(room, { lobby: { metadata: { mode: "a; b", secret: 1 } } });
  assert.deepEqual(lobby.message("bo", "find", { kind: "ranked", where: { mode: "a; b" } }).reply, [
    { room, code, players: 1, maxPlayers: 2, metadata: { mode: "a; b", level: null }, since: lobby.now },
  ]);
  assert.notEqual(into(lobby, "bo", "ranked", { mode: "fast" }).room, room);
  assert.equal(into(lobby, "cid", "ranked", { mode: "a; b" }).room, room);
});

test("`find` lists the public rooms of a kind that have a free seat; a value that is not compared is refused", async () => {
  const lobby = await lobbyWith(...names("p", 70));
  all(lobby, names("p", 5), "party");
  assert.deepEqual(lobby.message("p9", "find", { kind: "party" }).reply.map(({ players }) => players), [1]);
  assert.deepEqual(lobby.message("p9", "find", { kind: "chat" }).reply, []);
  assert.equal(lobby.message("p9", "find", { kind: "ranked", where: { color: 1 } }).refused, 'ranked has no "color" to compare; it has: mode, level');
  assert.match(lobby.message("p9", "find", { kind: "ranked", where: ["fast"] }).refused, /^`where` is an object/);
  for (let n = 10; n < 70; n++) lobby.message(`p${n}`, "create", { kind: "party" }).moved(`p${n}`);
  assert.equal(lobby.message("p9", "find", { kind: "party" }).reply.length, 50);
});

// ---- private rooms, codes and names ----

test("a private room is joined by its code, in any case, or by its id, and not otherwise", async () => {
  const lobby = await lobbyWith("ana", "bo", "cid", "dan");
  const { room, code } = lobby.message("ana", "create", { kind: "party", options: { topic: "cats" }, private: true }).reply;
  assert.deepEqual(lobby.created, [{ kind: "party", options: { topic: "cats" } }]);
  assert.deepEqual(lobby.message("bo", "join", { room: ` ${code.slice(0, 3).toLowerCase()}-${code.slice(3)}`, options: { as: "guest" } }).reply, { room, code });
  assert.deepEqual(lobby.moves.at(-1), { session: session("bo"), room, options: { as: "guest" } });
  assert.deepEqual(lobby.message("cid", "join", { room }).reply, { room, code });
  assert.deepEqual(lobby.message("dan", "find", { kind: "party" }).reply, []);
  assert.notEqual(into(lobby, "dan", "party").room, room);
});

test("a private room of a kind whose players wait begins without them", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const { room, code } = lobby.message("ana", "create", { kind: "tic-tac-toe", private: true, options: { seats: ["x", "y"], names: 7, turnSeconds: 5 } }).reply;
  assert.deepEqual(lobby.created, [{ kind: "tic-tac-toe", options: { turnSeconds: 5 } }]);
  assert.deepEqual(lobby.message("bo", "join", { room: code }).reply, { room, code });
  assert.equal(lobby.message("bo", "create", { kind: "duel" }).refused, "you are on your way to a room");
  lobby.moved("bo").join("bo");
  assert.match(lobby.message("bo", "create", { kind: "duel" }).refused, /is not created on request/);
});

test("a place in a public room that is joined by its code counts", async () => {
  const lobby = await lobbyWith(...names("p", 5));
  const { room, code } = into(lobby, "p0", "party");
  lobby.moved("p0");
  for (const player of ["p1", "p2", "p3"]) lobby.message(player, "join", { room: code }).moved(player);
  assert.notEqual(into(lobby, "p4", "party").room, room);
});

test("a named room is entered by its name, or created; a name that looks like a code is refused", async () => {
  const lobby = await lobbyWith("ana", "bo", "cid", "dan", "eva");
  const by = (name, type, data) => lobby.message(name, type, { kind: "party", ...data });
  const { room, code } = by("ana", "joinOrCreate", { name: "friday-poker" }).reply;
  assert.deepEqual(by("bo", "joinOrCreate", { name: "friday-poker" }).reply, { room, code });
  assert.deepEqual(by("cid", "create", { name: "friday-poker" }).reply, { failed: { code: "taken", reason: "there is a room friday-poker already" } });
  assert.deepEqual(by("cid", "join", { room: "friday-poker" }).reply, { room, code });
  assert.deepEqual(lobby.message("dan", "joinOrCreate", { kind: "chat", name: "friday-poker" }).reply.failed, { code: "taken", reason: "the room friday-poker is a party" });
  for (const name of ["ab", "Ana", "a b c", "-ab", "a".repeat(41), 7, null]) assert.match(by("dan", "create", { name }).refused, /^a name has 3 to 40/);
  for (const name of ["kq7f2m", "garden", "r-table"]) {
    const [, refusal, remedy] = /^(the name .+ looks like a room's code \(six of 2.+Z\)): .+ as in (.+)$/.exec(by("dan", "create", { name }).refused) ?? [];
    assert.ok(refusal, name);
    assert.ok(by("eva", "create", { name: remedy }).reply.code, remedy);
    lobby.moved("eva").join("eva");
  }
  assert.match(by("dan", "create", { name: "0".repeat(32) }).refused, /like a room's id/);
  assert.notEqual(into(lobby, "dan", "party").room, room, "it is not offered");
  lobby.moved("ana").ended(room, null).moved("dan").join("dan");
  assert.notEqual(by("dan", "joinOrCreate", { name: "friday-poker" }).reply.room, room);
});

test("after ten wrong codes a player waits a minute", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const { code } = lobby.message("bo", "create", { kind: "party", private: true }).reply;
  for (let n = 0; n < 10; n++) assert.equal(lobby.message("ana", "join", { room: "ZZZZZZ" }).reply.failed.code, "not_found");
  assert.equal(lobby.message("ana", "join", { room: code }).reply.failed.code, "rate_limited");
  lobby.wait(60_000);
  assert.equal(lobby.message("ana", "join", { room: code }).reply.code, code);
  for (const room of [undefined, 7, "x".repeat(65)]) assert.match(lobby.message("ana", "join", { room }).refused ?? "", /a room's id, code or name|on your way/);
});

test("ids that share a code get others, and both are found", () => {
  const codes = noCodes();
  const ids = ["a".repeat(32), `${"a".repeat(8)}${"b".repeat(24)}`, `${"a".repeat(10)}${"c".repeat(22)}`];
  const given = ids.map((room) => keep(codes, room, { key: "party []" }));
  assert.equal(new Set(given).size, 3);
  ids.forEach((room, n) => assert.deepEqual(keptByText(codes, given[n]), { code: given[n], room, hidden: false, key: "party []" }));
  ids.forEach((room, n) => assert.equal(keptById(codes, room).code, given[n]));
  forget(codes, ids[0]);
  assert.deepEqual([keptById(codes, ids[0]), keptById(codes, ids[1]).code, codes.count], [undefined, given[1], 2]);
  forget(codes, ids[1]);
  forget(codes, ids[2]);
  assert.deepEqual(codes, noCodes());
});

// ---- bounds ----

const idOf = (n) => (n + 1).toString(16).padStart(8, "0").split("").reverse().join("").padEnd(32, "0");

test("beyond its bounds the lobby keeps no more codes, names and open rooms", () => {
  const codes = noCodes();
  let kept = 0;
  for (let n = 0; kept < ROOMS_KEPT; n++) if (keep(codes, idOf(n), { key: "party []" }) !== null) kept += 1;
  assert.equal(keep(codes, "f".repeat(32), { key: "party []" }), null);
  for (let n = 0; n < NAMES_KEPT; n++) assert.ok(giveName(codes, `room-number-${n}`, "ABCDEF"));
  assert.ok(!giveName(codes, "one-more", "ABCDEF"));
  assert.equal(wrongWithName("one-more"), undefined);
  assert.ok(JSON.stringify(codes).length < 2 << 20, "half of what the state may have");
});

test("without a code that is left, rooms are filled all the same, and private ones are refused", () => {
  const crowd = new Crowd(script, { capacity: 4, change: ({ codes }) => { codes.count = ROOMS_KEPT; } });
  const players = names("p", 5);
  players.forEach((player) => crowd.join(player));
  const placed = players.map((player) => crowd.message(player, "joinOrCreate", { kind: "party" }));
  assert.deepEqual([placed[0].code, new Set(placed.slice(0, 4).map(({ room }) => room)).size, crowd.created], [null, 1, 2]);
  while (crowd.moves.length > 0) crowd.arrive(crowd.moves[0]);
  crowd.join("ana");
  assert.match(crowd.message("ana", "create", { kind: "party", private: true }).refused, /^no code is left/);
  crowd.end(placed[4].room);
  assert.notEqual(crowd.message("ana", "joinOrCreate", { kind: "party" }).room, placed[4].room);
});

test("rooms beyond those that are offered are joined by their codes", () => {
  const crowd = new Crowd(script);
  for (const player of names("p", OPEN_KEPT + 1)) {
    crowd.join(player);
    crowd.message(player, "create", { kind: "party" });
  }
  const { room, code } = crowd.replies.get(`p${OPEN_KEPT}`);
  assert.equal(crowd.state.open.count, OPEN_KEPT);
  assert.ok(!Object.values(crowd.state.open.byKey).flat().some((open) => open.room === room));
  crowd.join("late");
  assert.deepEqual(crowd.message("late", "join", { room: code }), { room, code });
});

test("when too many wait, the next is refused", () => {
  // Sessions of one player are not paired with each other.
  const change = (state) => Object.assign(state, { queue: { "tic-tac-toe []": names("tab", WAITING_KEPT) }, waiting: WAITING_KEPT });
  const crowd = new Crowd(script, { change });
  crowd.join("bo");
  assert.equal(crowd.message("bo", "joinOrCreate", { kind: "duel" }).failed.code, "full");
  assert.equal(crowd.state.waiting, WAITING_KEPT);
});

// ---- cost ----

test("ten thousand rooms take a quarter of the state, and players who come and go do not touch it", () => {
  const change = ({ codes }) => { for (let n = 0; n < 10_000; n++) keep(codes, idOf(n), { key: "tic-tac-toe []" }); };
  const crowd = new Crowd(script, { change });
  const before = crowd.saved;
  assert.ok(before.length < 1 << 20, `${before.length} bytes`);
  crowd.join("ana");
  crowd.leave("ana");
  assert.equal(crowd.saved, before);
  crowd.join("bo");
  assert.equal(crowd.message("bo", "join", { room: idOf(9_999) }).room, idOf(9_999));
  crowd.assertRestored();
});

test("a swap from the first version keeps games and results, and a lobby that is swapped later keeps all", async () => {
  const lobby = await lobbyWith("ana", "bo");
  const { room, code } = lobby.message("ana", "create", { kind: "party", private: true }).reply;
  lobby.restore("swapped");
  assert.deepEqual(lobby.message("bo", "join", { room: code }).reply, { room, code });
});

// ---- a swap to other kinds ----

/** The lobby as it is built beside other kinds. */
const lobbyOf = async (kinds) => compiled(await bundle(ENTRY, dirname(ENTRY), kinds));
const TEAM = { maxPlayers: 8, seats: 4, match: ["mode"], create: true };

/** A lobby in which these players wait for a room of four, swapped to one with `offer` instead; without one, the kind is gone. */
async function swapped(players, offer, options) {
  const lobby = new Story(await lobbyOf({ ...KINDS, team: TEAM }), { kind: "lobby", id: LOBBY }).create();
  for (const [tab, name = tab] of players) lobby.join(name, { tab }).message(tab, "joinOrCreate", { kind: "team", options });
  players.forEach(([tab]) => lobby.received(tab));
  assert.deepEqual(lobby.moves, []);
  return lobby.restore("swapped", await lobbyOf(offer ? { ...KINDS, team: offer } : KINDS));
}

test("where a swap lowers the seats, rooms begin with those who wait, and the others wait on", async () => {
  const lobby = await swapped([["ana"], ["bo"], ["cid"]], { ...TEAM, seats: 2 }, { mode: "fast" });
  assert.deepEqual(lobby.created, [{ kind: "team", options: { mode: "fast", seats: ["ana", "bo"], names: ["ana", "bo"] } }]);
  assert.deepEqual(types(lobby.received("bo")), ["placed", "waiting"]);
  assert.deepEqual(lobby.message("cid", "look").reply.position, 1);
  lobby.join("dan").message("dan", "joinOrCreate", { kind: "team", options: { mode: "fast" } });
  assert.deepEqual(lobby.created[1].options.seats, ["cid", "dan"]);
});

test("players wait on after a swap that changes nothing for them, and after one to more seats", async () => {
  for (const offer of [TEAM, { ...TEAM, seats: 6 }]) {
    const lobby = await swapped([["ana"], ["bo"], ["cid"]], offer);
    assert.deepEqual([lobby.created, lobby.effects.filter(({ tag }) => tag !== "view"), lobby.state.waiting], [[], [], 3]);
    assert.deepEqual(lobby.message("cid", "look").reply.position, 3);
  }
});

test("players whose request cannot be met after a swap are refused, and may request again", async () => {
  const { seats, ...unseated } = TEAM;
  const changes = [
    [{ ...unseated, seats: 0 }, "team has changed: request it again"],
    [{ ...TEAM, match: [] }, "team has changed: request it again"],
    [undefined, "there is no game team any more"],
  ];
  for (const [offer, reason] of changes) {
    const lobby = await swapped([["ana"], ["bo"]], offer, { mode: "fast" });
    const events = [{ type: "failed", data: { room: null, code: "refused", reason } }, { type: "waiting", data: { count: 0 } }];
    assert.deepEqual([lobby.received("ana"), lobby.received("bo")], [events, events]);
    assert.deepEqual([lobby.state.queue, lobby.state.waiting], [{}, 0]);
    if (offer) assert.equal(lobby.message("ana", "joinOrCreate", { kind: "team" }).refused, undefined);
    assert.equal(lobby.message("bo", "joinOrCreate", { kind: "party" }).reply.room, lobby.moves.at(-1).room);
  }
});

test("a swap answers as many as wait, some in each call", async () => {
  const many = names("p", 450).map((name) => [name, name]);
  const sameThree = many.map(([tab], n) => [tab, `player ${n % 3}`]);
  const gone = await swapped(sameThree, undefined);
  assert.equal(gone.state.waiting, 250);
  gone.wait(10);
  assert.deepEqual([gone.state.waiting, gone.state.queue, gone.timers.has("reviewQueue")], [0, {}, false]);
  for (const [tab] of sameThree) assert.deepEqual(types(gone.received(tab).filter(({ type }) => type === "failed")), ["failed"], tab);

  const lower = await swapped(sameThree.slice(0, 60), { ...TEAM, seats: 2 });
  assert.equal(lower.created.length, 8);
  lower.wait(10);
  assert.deepEqual([lower.created.length, lower.state.waiting], [30, 0]);
});
