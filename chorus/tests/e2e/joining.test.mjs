/** Into a room and back, with kinds of the test's own: the default lobby, as it is, serves a project's rooms. Not for a cluster. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { Chorus } from "../../../clients/js/chorus.js";
import { freePort } from "../../../testing/services/programs.mjs";
import { guestsWith } from "../guests.mjs";
import { Server } from "../server.mjs";

const AT_ONCE = 1_000;
const TEST = { timeout: 240_000 };

/** Each room counts how many players it ever had at a time. */
const PARTY = `import { Room } from "chorus";
export default class Party extends Room {
  static config = { maxPlayers: 4, reconnectSeconds: 1 };
  onCreate(options) { this.state = { most: 0, names: [], options }; }
  onJoin(player) { this.#count(); }
  onLeave() { this.#count(); }
  #count() {
    const names = this.players.filter((one) => !one.spectator).map(({ name }) => name);
    this.state.names = names;
    this.state.most = Math.max(this.state.most, names.length);
  }
  messages = { lock: () => this.lock() };
}
`;
const DUEL = `import { Room } from "chorus";
export default class Duel extends Room {
  static config = { maxPlayers: 2 };
  static lobby = { seats: 2, match: ["mode"] };
  onCreate({ seats, mode }) { this.state = { seats, mode }; }
}
`;
/** It refuses who is not invited, and those that want to leave. */
const CLUB = `import { Room } from "chorus";
export default class Club extends Room {
  static lobby = { match: ["topic"] };
  onCreate({ topic, broken }) { if (broken) throw new Error("this club is broken"); this.state = { topic }; }
  onJoinAttempt(player, { word }) { return word === "please" || this.refuse("say please"); }
  messages = { leave: () => this.refuse("not yet"), topic: (player, topic) => this.setMetadata({ topic }) };
}
`;

/** Two play, all others watch. Once it has begun, it refuses who comes, and does not lock. */
const BOARD = `import { Room } from "chorus";
export default class Board extends Room {
  static config = { maxPlayers: 2 };
  onCreate() { this.state = { playing: [], watching: [], begun: false }; }
  onJoinAttempt(player) { if (this.state.begun) this.refuse("the game has begun"); return player.spectator ? "spectator" : true; }
  onJoin(player) { this.#list(); }
  onLeave() { this.#list(); }
  #list() {
    const names = (watching) => this.players.filter((one) => one.spectator === watching).map(({ name }) => name);
    Object.assign(this.state, { playing: names(false), watching: names(true) });
  }
  messages = {
    sit: (player) => { player.sit(); this.#list(); },
    stand: (player) => { player.stand(); this.#list(); },
    begin: () => { this.state.begun = true; },
  };
}
`;

let folder, server;
const clients = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "chorus-joining-"));
  const guests = await guestsWith(folder, { party: PARTY, table: PARTY, duel: DUEL, club: CLUB, board: BOARD });
  server = await Server.start({ data: join(folder, "data"), port: await freePort(), args: ["--guests", guests] });
}, TEST);

after(async () => {
  clients.forEach((client) => client.close());
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

function player(name, options = {}) {
  const client = new Chorus(`${server.url}/ws`, { name, WebSocket, storage: null, ...options });
  clients.push(client);
  client.connect();
  return client;
}

/** Resolves when the view of the room fulfils the condition. */
function sees(room, condition) {
  if (condition(room.view)) return Promise.resolve(room.view);
  return new Promise((resolve) => {
    const off = room.onView((view) => condition(view) && (off(), resolve(view)));
  });
}

/** Asks again, until the answer fulfils the condition: what is awaited sends nothing. The test's deadline is the wait's. */
async function until(ask, condition) {
  for (;;) {
    const answer = await ask();
    if (condition(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const close = (...players) => players.forEach((client) => client.close());

test("a thousand clients at once come into rooms of four: none is over-full, and none is left alone", TEST, async () => {
  const players = Array.from({ length: AT_ONCE }, (_, n) => player(`p${n}`));
  const began = performance.now();
  const rooms = await Promise.all(players.map((client) => client.joinOrCreate("party")));
  console.log(`# ${AT_ONCE} players were in rooms of four after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const views = await Promise.all(rooms.map((room) => sees(room, ({ names }) => names.length === 4)));
  assert.equal(new Set(rooms.map(({ id }) => id)).size, AT_ONCE / 4);
  assert.deepEqual([...new Set(views.map(({ most }) => most))], [4]);
  close(...players);
});

test("a seat that a player leaves is the next player's", TEST, async () => {
  const players = ["ana", "bo", "cid", "dan"].map((name) => player(name));
  const [room, ...others] = await Promise.all(players.map((client) => client.joinOrCreate("table")));
  for (const other of others) assert.equal(other.id, room.id);
  assert.deepEqual(await player("eva").find("table"), [], "it is full");
  const back = await others[0].leave();
  assert.equal(back.kind, "lobby");
  // The lobby's first view and the room's last frame come from two rooms, in any order.
  await until(async () => others[0].left, (left) => left === "moved");
  const [found] = await until(() => players[1].find("table"), ({ length }) => length > 0);
  assert.deepEqual([found.room, found.players], [room.id, 3]);
  const fay = player("fay");
  assert.equal((await fay.joinOrCreate("table")).id, room.id);
  await sees(room, ({ names }) => names.includes("fay"));
  // A session that is over without a word.
  players[2].close();
  await until(() => players[1].find("table"), ({ length }) => length > 0);
  assert.equal((await players[1].joinOrCreate("table")).id, room.id);
  close(...players, fay);
});

test("an invitation: a private room is joined by its code, and nobody else comes in", TEST, async () => {
  const [ana, bo, cid] = ["ana", "bo", "cid"].map((name) => player(name));
  const room = await ana.create("party", { topic: "cats" }, { private: true });
  assert.match(room.code, /^[2-9A-HJ-NP-Z]{6}$/);
  assert.deepEqual(room.view.options, { topic: "cats" });
  const [joined, other] = await Promise.all([bo.join(room.code.toLowerCase()), cid.joinOrCreate("party")]);
  assert.deepEqual([joined.id, joined.code], [room.id, room.code]);
  assert.notEqual(other.id, room.id);
  await room.send("lock");
  await other.leave();
  await assert.rejects(cid.join(room.code), { code: "locked" });
  await assert.rejects(cid.join("ZZZZZZ"), { code: "not_found" });
  await assert.rejects(bo.join("ZZZZZZ"), { code: "elsewhere" });
  assert.equal(await bo.join(room.id), joined);
  close(ana, bo, cid);
});

test("a named room is one room for all who name it", TEST, async () => {
  const players = ["ana", "bo", "cid"].map((name) => player(name));
  const rooms = await Promise.all(players.map((client) => client.joinOrCreate("party", {}, { name: "friday-poker" })));
  assert.equal(new Set(rooms.map(({ id }) => id)).size, 1);
  await assert.rejects(player("dan").create("party", {}, { name: "friday-poker" }), { code: "taken" });
  close(...players);
});

test("players who wait begin together, with those who want the same", TEST, async () => {
  const modes = ["fast", "slow", "fast", "slow"];
  const players = modes.map((mode, n) => player(`p${n}`));
  const rooms = await Promise.all(players.map((client, n) => client.joinOrCreate("duel", { mode: modes[n] })));
  assert.deepEqual(rooms.map(({ view }) => view.mode), modes);
  assert.deepEqual([rooms[0].id, rooms[1].id], [rooms[2].id, rooms[3].id]);
  assert.equal(rooms[0].view.seats.length, 2);
  close(...players);
});

test("a refusal is the room's own words, a room that cannot be created says so, and rooms are found by what they have set", TEST, async () => {
  const [ana, bo] = ["ana", "bo"].map((name) => player(name));
  await assert.rejects(ana.joinOrCreate("club", { topic: "cats" }), { code: "refused", message: "say please" });
  await assert.rejects(ana.create("club", { broken: true, word: "please" }), ({ code }) => code === "failed");
  await assert.rejects(ana.joinOrCreate("chess"), ({ code, message }) => code === "refused" && /there is no game "chess"/.test(message));
  const club = await ana.joinOrCreate("club", { topic: "dogs", word: "please" });
  await club.send("topic", "birds");
  await assert.rejects(club.leave(), { code: "refused", message: "not yet" });
  const [found] = await until(() => bo.find("club", { topic: "birds" }), ({ length }) => length > 0);
  assert.deepEqual([found.room, found.code, found.metadata], [club.id, club.code, { topic: "birds" }]);
  assert.equal((await bo.joinOrCreate("club", { topic: "birds", word: "please" })).id, club.id);
  close(ana, bo);
});

test("who wants to play gets a seat, also where spectators have taken those that became free", TEST, async () => {
  const [ana, bo, kim, eva, zoe, dan] = ["ana", "bo", "kim", "eva", "zoe", "dan"].map((name) => player(name));
  const [room] = await Promise.all([ana, bo].map((client) => client.joinOrCreate("board")));
  const watched = await kim.join(room.code);
  assert.deepEqual([watched.id, watched.view.watching], [room.id, ["kim"]], "the room is full, and invites by its code");
  const found = () => eva.find("board");
  assert.deepEqual(await found(), []);
  await bo.room.leave();
  await until(found, ([one]) => one?.players === 1);
  // The lobby has no report of the seat yet when it moves zoe.
  const [other] = await Promise.all([zoe.joinOrCreate("board"), watched.send("sit").catch(() => {})]);
  assert.ok(other.view.playing.includes("zoe"));
  if (other.id === room.id) await other.leave().then(() => until(() => watched.send("sit").then(() => true, () => false), Boolean));
  await sees(room, ({ playing }) => playing.includes("kim"));
  await until(found, (rooms) => rooms.every((one) => one.room !== room.id));
  assert.notEqual((await dan.joinOrCreate("board")).id, room.id);
  await room.send("stand");
  await until(found, (rooms) => rooms.some((one) => one.room === room.id && one.players === 1));
  const next = await eva.joinOrCreate("board");
  assert.ok(next.view.playing.includes("eva"));
  close(ana, bo, kim, eva, zoe, dan);
});

test("a room that refuses strangers is no answer to one that wants to play, and is one to a guest", TEST, async () => {
  const [ana, bo, cid] = ["ana", "bo", "cid"].map((name) => player(name));
  const room = await ana.create("board");
  await room.send("begin");
  const other = await bo.joinOrCreate("board");
  assert.deepEqual([other.id === room.id, other.view.playing.includes("bo")], [false, true]);
  await assert.rejects(cid.join(room.code), { code: "refused", message: "the game has begun" });
  assert.notEqual((await cid.joinOrCreate("board")).id, room.id);
  close(ana, bo, cid);
});

test("a game that has begun is listed, and watched by its id or by `watch`", TEST, async () => {
  const [ana, bo, cid, dan] = ["ana", "bo", "cid", "dan"].map((name) => player(name));
  const [game] = await Promise.all([ana, bo].map((client) => client.joinOrCreate("tic-tac-toe")));
  const listed = (await cid.send("games")).find(({ room }) => room === game.id);
  assert.deepEqual([listed.kind, [...listed.players].sort()], ["tic-tac-toe", ["ana", "bo"]]);
  assert.equal((await cid.join(listed.room, { watch: true })).view.you, null);
  const entered = new Promise((resolve) => dan.on("room", ({ id }) => id === game.id && resolve(id)));
  await dan.send("watch", { room: listed.room });
  assert.equal(await entered, game.id);
  close(ana, bo, cid, dan);
});

test("after `kill -9` of the server, codes lead to the rooms as before, and a player who reloads is in its room", TEST, async () => {
  const kept = new Map(), storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  const ana = player("ana", { storage });
  const room = await ana.create("party", {}, { private: true });
  const { code, id } = room;
  ana.close();
  await server.kill9();
  await server.start();
  const again = player(undefined, { storage });
  const back = await again.join(code);
  assert.deepEqual([back.id, back.code, again.resumes], [id, code, 1]);
  assert.equal((await player("bo").join(code)).id, id);
});
