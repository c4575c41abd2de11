// The room's side of the way from and to the lobby: `leave`, and what a room reports.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { bundle } from "../build/bundle.mjs";
import { inspect } from "../build/inspect.mjs";
import { kindsOf } from "../build/kinds.mjs";
import { roomOf, session } from "./story.mjs";

const LOBBY = "00000000000000000000000000010bb7";

/** A room that the lobby has created. */
const lobbys = (body) => roomOf(body, {}, { creator: LOBBY });
const reports = ({ sent }) => sent.splice(0).map(({ room, data }) => (assert.equal(room, LOBBY), data.lobby));

test("a member leaves any room by the message `leave`, unless the script has its own", async () => {
  const plain = (await roomOf("")).join("ana");
  assert.deepEqual(plain.message("ana", "leave").reply, {});
  assert.deepEqual(plain.moves, [{ session: session("ana"), room: LOBBY, options: {} }]);
  const own = (await roomOf("messages = { leave: () => this.refuse('not in the middle of a hand') };")).join("ana");
  assert.equal(own.message("ana", "leave").refused, "not in the middle of a hand");
  const lobby = (await roomOf("", {}, { id: LOBBY })).join("ana");
  assert.deepEqual([lobby.message("ana", "leave").reply, lobby.moves], [{}, []], "the lobby is not left");
});

test("a member whose way out fails is notified, by the script where it has the hook", async () => {
  const plain = (await roomOf("")).join("ana");
  plain.message("ana", "leave").moveFailed("ana", LOBBY, "the lobby restarts in 1 s");
  assert.deepEqual(plain.received("ana"), [{ type: "failed", data: { room: LOBBY, reason: "the lobby restarts in 1 s" } }]);
  const own = (await roomOf("onMoveFailed(player) { player.send('stay'); }")).join("ana");
  own.message("ana", "leave").moveFailed("ana", LOBBY, "no");
  assert.deepEqual(own.received("ana").map(({ type }) => type), ["stay"]);
});

test("a room of the lobby reports each seat that a player leaves, not a spectator's, and none while it is locked", async () => {
  const body = "static config = { maxPlayers: 2 }; onJoinAttempt(player) { return player.spectator ? 'spectator' : true; } messages = { lock: () => this.lock(), unlock: () => this.unlock() };";
  const room = (await lobbys(body)).join("ana").join("bo").join("cid");
  assert.deepEqual(reports(room), []);
  assert.deepEqual(reports(room.leave("cid")), []);
  assert.deepEqual(reports(room.leave("ana")), [{ freed: 1 }]);
  assert.deepEqual(reports(room.message("bo", "lock").message("bo", "lock")), [{ locked: true }]);
  room.join("dan", { full: false });
  assert.deepEqual(reports(room.leave("dan")), []);
  assert.deepEqual(reports(room.message("bo", "unlock").message("bo", "unlock")), [{ locked: false, players: 1 }]);
});

const SEATS = `static config = { maxPlayers: 2 };
  onJoinAttempt(player, options) { this.state.options = options; return player.spectator ? 'spectator' : options.as ?? true; }
  messages = {
    sit: (player) => player.sit(), stand: (player) => player.stand(), lock: () => this.lock(), unlock: () => this.unlock(),
    no: (player) => { player.stand(); this.refuse('no'); }, swap: (player) => { player.stand(); this.players.filter((one) => one.spectator && one !== player)[0].sit(); },
  };`;

test("a room of the lobby reports who sits down and who stands up, not what it has refused, and not while it is locked", async () => {
  const room = (await lobbys(SEATS)).join("ana").join("bo").join("cid");
  assert.deepEqual(reports(room.leave("bo").message("cid", "sit")), [{ freed: 1 }, { freed: -1 }]);
  assert.deepEqual(reports(room.message("cid", "stand")), [{ freed: 1 }]);
  assert.equal(room.message("ana", "no").refused, "no");
  assert.deepEqual(reports(room), []);
  assert.deepEqual(reports(room.message("ana", "swap")), [{ freed: 1 }, { freed: -1 }]);
  room.message("cid", "lock");
  reports(room);
  assert.deepEqual(reports(room.message("cid", "stand")), []);
  assert.deepEqual(reports(room.message("cid", "unlock")), [{ locked: false, players: 0 }]);
  const other = (await roomOf(SEATS)).join("ana");
  assert.deepEqual(reports(other.message("ana", "stand")), [], "another has created it");
});

test("a seat that passes on within `onLeave` is reported free before it is taken", async () => {
  const room = (await lobbys(`${SEATS} onLeave() { for (const one of this.players) if (one.spectator) { one.sit(); break; } }`)).join("ana").join("bo").join("cid");
  assert.deepEqual(reports(room.leave("ana")), [{ freed: 1 }, { freed: -1 }]);
});

test("who was counted by the lobby and is a spectator gives its seat back, and the lobby's note is not the script's", async () => {
  const room = await lobbys(SEATS);
  assert.deepEqual(reports(room.join("ana", { options: { a: 1, "@lobby": "join" } })), []);
  assert.deepEqual(room.state.options, { a: 1 });
  assert.deepEqual(reports(room.join("bo", { options: { as: "spectator", "@lobby": "join" } })), [{ freed: 1 }]);
  assert.deepEqual(reports(room.join("cid", { options: { as: "spectator", "@lobby": "play" } })), [{ freed: 1 }], "the script's choice");
  assert.deepEqual(reports(room.join("dan", { options: { as: "spectator" } })), [], "it was not counted");
  const other = (await roomOf(SEATS)).join("ana", { options: { "@lobby": "join" } });
  assert.deepEqual(other.state.options, { "@lobby": "join" }, "no lobby has created this room");
});

test("who means to play is refused by a full room that would take it as a spectator", async () => {
  const room = (await lobbys(SEATS)).join("ana").join("bo");
  assert.equal(room.join("cid", { options: { "@lobby": "play" } }).refused, "the room is full");
  assert.deepEqual(reports(room), []);
  assert.equal(room.join("cid", { options: { "@lobby": "join" } }).refused, undefined);
  assert.deepEqual(reports(room), [{ freed: 1 }]);
  const passes = (await lobbys(`static config = { maxPlayers: 1 }; onJoinAttempt(player) { for (const one of this.players) one.stand(); return true; }`)).join("ana");
  assert.equal(passes.join("bo", { options: { "@lobby": "play" } }).refused, undefined, "the script has freed a seat");
  assert.deepEqual(reports(passes), [{ freed: 1 }]);
});

test("of its metadata, a room reports the values that the lobby compares", async () => {
  const room = (await lobbys("static lobby = { match: ['mode'] }; messages = { set: (player, data) => this.setMetadata(data) };")).join("ana");
  room.message("ana", "set", { mode: "fast", players: ["ana"] }).message("ana", "set", { players: [] }).message("ana", "set", null);
  assert.deepEqual(reports(room), [{ metadata: { mode: "fast" } }, { metadata: {} }]);
});

test("a room that another has created, or whose seats the lobby does not fill again, reports nothing", async () => {
  const body = "messages = { lock: () => this.lock(), set: () => this.setMetadata({ mode: 1 }) };";
  const rooms = await Promise.all([roomOf(body), roomOf(body, {}, { creator: "a".repeat(32) }), lobbys(`static lobby = false; ${body}`), lobbys(`static lobby = { seats: 2, match: ["mode"] }; ${body}`)]);
  for (const room of rooms) assert.deepEqual(reports(room.join("ana").message("ana", "set").message("ana", "lock").leave("ana")), []);
});

test("a report is made even when the script has used up the effects of its call", async () => {
  const room = (await lobbys("static config = { budget: { effectsPerRecord: 2 } }; onLeave() { this.broadcast('a'); this.broadcast('b'); }")).join("ana").join("bo");
  assert.deepEqual(reports(room.leave("ana")), [{ freed: 1 }]);
});

for (const [given, complaint] of [
  ["{ seat: 2 }", 'static lobby has no key "seat"; there are: seats, match, create'],
  ["{ seats: 1 }", "static lobby.seats must be a whole number, 2 or more"],
  ["{ seats: 65 }", "static lobby.seats is 65; the most is 64"],
  ["{ seats: 5 }", "static lobby.seats is 5, and the room has 4 seats (static config.maxPlayers)"],
  ["{ match: 'mode' }", "static lobby.match must be a list of at most 8 names"],
  ["{ match: ['a b'] }", "static lobby.match must have names of 1 to 32 letters, digits and _, which begin with a letter or _"],
  ["{ create: 1 }", "static lobby.create must be true or false"],
  ["7", "static lobby must be an object, not a number"],
]) {
  test(`static lobby = ${given} does not build`, async () => {
    await assert.rejects(roomOf(`static config = { maxPlayers: 4 }; static lobby = ${given};`), ({ message }) => message.replace("TypeError: ", "") === complaint);
  });
}

test("a lobby is built with the kinds that clients may request, as their classes have it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kinds-"));
  try {
    const sources = {
      chat: "export default class extends Room { static config = { maxPlayers: 50 }; }",
      duel: "export default class extends Room { static lobby = { seats: 2, match: ['mode'], create: false }; }",
      inner: "export default class extends Room { static lobby = false; }",
      broken: "export default class extends Room { static lobby = 7; }",
      other: "import { kinds } from 'chorus/kinds'; export default class extends Room { view() { return kinds; } }",
    };
    const guests = Object.entries(sources).map(([kind, code]) => {
      const path = join(folder, `${kind}.js`);
      writeFileSync(path, `import { Room } from "chorus";\n${code}\n`);
      return { kind, path, fixture: false };
    });
    const inspected = async ({ path }) => {
      const bundled = await bundle(path);
      return { bundled, ...inspect(bundled, path, "") };
    };
    const chat = { maxPlayers: 50, seats: 0, match: [], create: true }, duel = { maxPlayers: 0, seats: 2, match: ["mode"], create: false };
    assert.deepEqual(await kindsOf(guests, inspected, {}), { chat, duel });
    assert.deepEqual(await kindsOf(guests, inspected, { broken: { offer: chat } }), { broken: chat, chat, duel }, "one that does not build is as it was");
    const { script, isLobby } = await bundle(guests[4].path, folder, { chat });
    assert.ok(isLobby);
    assert.match(script, /maxPlayers"?: ?50/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
