// Stories: what a test of a room can do, and what it is told.

import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";

import { createRoom, guestId, LOBBY, play, roomNamed } from "chorus-rooms/test";
import { project, roomOf } from "./project.mjs";

let rooms = 0;
/** The URL of a room of this class body. */
function written(body, top) {
  const kind = `room-${++rooms}`;
  return pathToFileURL(join(project({ [`rooms/${kind}/index.js`]: roomOf(body, top) }), "rooms", kind));
}
const roomWith = async (body, options, settings) => createRoom(written(body), options, settings);

test("a message is answered, seen and heard", async () => {
  const room = await roomWith(`state = { n: 0 };
    messages = { add: (player, { by }) => { this.state.n += by; this.broadcast("added", { by, from: player.name }); return this.state.n; } };`);
  const ana = await room.join("Ana"), ben = await room.join({ name: "Ben" });
  assert.equal(await ana.send("add", { by: 2 }), 2);
  assert.deepEqual([room.state, ben.view], [{ n: 2 }, { n: 2 }]);
  assert.deepEqual(ben.received(), [{ type: "added", data: { by: 2, from: "Ana" } }]);
  assert.deepEqual([ben.received(), ben.events.length], [[], 1]);
});

test("a refusal rejects, and changes nothing", async () => {
  const room = await roomWith(`state = { n: 0 }; messages = { no: () => { this.state.n++; this.refuse("not now"); } };
    onJoinAttempt({ name }) { if (name === "Eve") this.refuse("not you"); return name !== "Mallory"; }`);
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("no"), { code: "refused", message: "not now" });
  await assert.rejects(ana.send("nope"), { code: "unknown_type", message: /it has no, leave$/ });
  await assert.rejects(room.join("Eve"), { code: "refused", message: "not you" });
  await assert.rejects(room.join("Mallory"), { code: "refused" });
  assert.deepEqual([room.state.n, room.members.length], [0, 1]);
});

test("a throw rejects with the author's file and line, and the room goes on from before", async () => {
  const room = await roomWith(`state = { n: 0 };\nmessages = { oops: () => {\nthis.state.n++; this.log.info("here");\nnull.x; }, fine: () => 1 };`);
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("oops"), ({ code, message }) => {
    assert.equal(code, "fault");
    assert.match(message, /^messages\.oops threw TypeError: [^]*rooms\/room-\d+\/index\.js:7:/);
    return true;
  });
  assert.equal(room.state.n, 0);
  assert.equal(room.log.at(-1).text, "(before it failed) here");
  assert.equal(await ana.send("fine"), 1);
});

test("what costs too much rejects", async () => {
  const room = await roomWith("messages = { spin: () => { for (;;); }, fill: () => { const all = []; for (;;) all.push(new ArrayBuffer(1 << 24)); }, fine: () => 1 };");
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("spin"), { code: "too_costly" });
  assert.equal(await ana.send("fine"), 1);
});

test("module state that a call leaves changed is an error, at its line", async () => {
  const room = await createRoom(written("messages = { go: () => { seen++; } };", "let seen = 0;"));
  const ana = await room.join("Ana");
  await assert.rejects(ana.send("go"), { rule: "module state", message: /^messages\.go: `seen` is changed by this call[^]*index\.js:4:/ });
});

test("time passes: timers fire in their order, and a held seat expires", async () => {
  const room = await roomWith(`static config = { reconnectSeconds: 5 }; state = { log: [] };
    timers = { tick: (n) => { this.state.log.push([n, this.now()]); if (n < 3) this.schedule.after(1000, "tick", n + 1); } };
    onJoin() { this.schedule.after(1000, "tick", 1); } onLeave(player, reason) { this.state.log.push([reason, this.now()]); }`);
  const start = room.now;
  const ana = await room.join("Ana");
  await room.join("Ben");
  assert.deepEqual(room.timers, { tick: { due: start + 1000, payload: 1 } });
  await ana.drop();
  assert.deepEqual([ana.connected, ana.isMember], [false, true]);
  await assert.rejects(ana.send("x"), /Ana is not connected/);
  await room.advance(60_000);
  assert.deepEqual(room.state.log, [[1, start + 1000], [2, start + 2000], [3, start + 3000], ["timed-out", start + 5000]]);
  assert.deepEqual([ana.isMember, room.now], [false, start + 60_000]);
  await ana.join();
  assert.equal(room.members.length, 2);
});

test("an empty room ends, unless it is kept", async () => {
  const room = await roomWith("static config = { emptySeconds: 30 }; onDispose() { this.log.info('bye'); }");
  const ana = await room.join("Ana");
  await ana.leave();
  await room.advance(29_999);
  assert.equal(room.ended, false);
  await room.advance(1);
  assert.deepEqual([room.ended, room.outcome, room.log.at(-1).text], [true, null, "bye"]);
  await assert.rejects(ana.join(), /the room has ended/);
  const kept = await roomWith("static config = { keepWhenEmpty: true };");
  await kept.advance(1e9);
  assert.equal(kept.ended, false);
});

test("a room is restored, hibernates, and is swapped", async () => {
  const folder = project({
    "rooms/count/index.js": roomOf("state = { n: 0 }; messages = { add: () => ++this.state.n }; onRestore(why) { this.log.info(why); }"),
    "next/count/index.js": roomOf("static stateVersion = 2; static migrate(old, from) { return { ...old, from }; } messages = { add: () => (this.state.n += 10) }; onRestore(why) { this.log.info(why); }"),
    "bad/count/index.js": roomOf("static stateVersion = 3;"),
  });
  const at = (name) => pathToFileURL(join(folder, name, "count"));
  const room = await createRoom(at("rooms"));
  const ana = await room.join("Ana");
  await ana.send("add");
  await room.restore();
  await room.sleep();
  assert.equal(await ana.send("add"), 2);
  await assert.rejects(room.swap(at("bad")), { code: "refused", message: /it needs static migrate/ });
  await room.swap(at("next"));
  assert.equal(await ana.send("add"), 12);
  assert.equal(room.state.from, 1);
  assert.deepEqual(room.log.map(({ text }) => text), ["recovered", "woken", "swapped"]);
});

test("spectators, seats and second sessions", async () => {
  const room = await roomWith(`static config = { maxPlayers: 1 };
    onJoinAttempt(player) { return player.spectator ? "spectator" : true; }
    messages = { swap: (player) => { for (const one of this.players) if (!one.spectator) one.stand(); player.sit(); } };
    view(state, player) { return { watching: player.spectator, tabs: this.players.of(player.id).length }; }`);
  const ana = await room.join("Ana"), again = await room.join("Ana"), ben = await room.join("Ben");
  assert.deepEqual([ana.spectator, again.spectator, ben.spectator], [false, true, true]);
  assert.deepEqual([ana.id, again.id, ana.session === again.session], [guestId("Ana"), guestId("Ana"), false]);
  await ben.send("swap");
  assert.deepEqual([ana.view, ben.view], [{ watching: true, tabs: 2 }, { watching: false, tabs: 1 }]);
});

test("moves, other rooms, kicks, and the end", async () => {
  const room = await roomWith(`state = { failed: null, ended: null };
    messages = {
      go: (player) => { const room = this.rooms.create("game", { a: 1 }); player.moveTo(room, { seat: 1 }); return [room, this.rooms.left]; },
      tell: () => this.rooms.send(this.creator, { hello: 1 }), out: (player) => player.kick("rude"), end: () => this.end({ done: true }),
    };
    onMoveFailed(player, room, reason) { this.state.failed = reason; }
    onRoomEnd(room, outcome, failed) { this.state.ended = [outcome, failed ?? null]; }
    onRoomMessage(room, data) { this.state.told = data; }`, {}, { creator: LOBBY });
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  const [first, left] = await ana.send("go");
  assert.deepEqual([left, room.created], [15, [{ room: first, kind: "game", options: { a: 1 }, ended: false }]]);
  assert.deepEqual(ana.moving, { room: first, options: { seat: 1 } });
  await ana.refuseMove("full");
  assert.equal(room.state.failed, "full");
  await room.childEnds(first, { winner: 1 });
  assert.deepEqual(room.state.ended, [{ winner: 1 }, null]);
  assert.equal((await ana.send("go"))[1], 15, "what has ended is given back");
  await ana.arrive();
  assert.equal(ana.isMember, false);
  await ben.send("tell");
  assert.deepEqual(room.sent, [{ room: LOBBY, data: { lobby: { freed: 1 } } }, { room: LOBBY, data: { hello: 1 } }], "the SDK reports the free seat");
  await room.receive(roomNamed("other"), { hi: 2 });
  assert.deepEqual(room.state.told, { hi: 2 });
  await ben.send("out");
  assert.deepEqual([ben.isMember, room.kicked[0].reason], [false, "rude"]);
  const cleo = await room.join("Cleo");
  await cleo.send("end");
  assert.deepEqual([room.ended, room.outcome], [true, { done: true }]);
});

test("a guest signs in, with claims", async () => {
  const room = await roomWith("state = { ids: [] }; onJoin(player) { this.state.claims = player.claims ?? null; } onUpgrade(player, old) { this.state.ids.push(old, player.id, player.claims.level); }");
  const ana = await room.join({ name: "Ana" });
  await ana.upgrade("u:ana", { claims: { level: 3 } });
  assert.deepEqual([room.state.ids, ana.id], [[guestId("Ana"), "u:ana", 3], "u:ana"]);
  await room.join({ name: "Ben", id: "u:ben", claims: { level: 1 } });
  assert.deepEqual(room.state.claims, { level: 1 });
});

test("a room that fails to be created, and one without end", async () => {
  await assert.rejects(roomWith('onCreate() { throw new Error("no options"); }'), /^RoomError: onCreate threw Error: no options/);
  const room = await roomWith('timers = { again: () => this.schedule.after(0, "again") }; onJoin() { this.schedule.after(0, "again"); }');
  await room.join("Ana");
  await assert.rejects(room.advance(0), { rule: "timers", message: /timers fire without end.*again/ });
});

test("what grows with each repetition is found, and what is bounded is not", async () => {
  const body = (most) => `state = { lines: [] }; messages = { say: (_, text) => { this.state.lines.push(text); if (this.state.lines.length > ${most}) this.state.lines.shift(); } };`;
  const grows = await roomWith(body("1e9")), bounded = await roomWith(body(30));
  for (const room of [grows, bounded]) room.ana = await room.join("Ana");
  await assert.rejects(grows.repeat(100, () => grows.ana.send("say", "hello")), { rule: "growth", message: /this\.state .* grows by 8 characters with each of 100 repetitions, from \d+ to \d+, most of it in this\.state\.lines: / });
  const beside = await roomWith('state = { lines: [] }; messages = { say: (player, text) => { (player.data.times ??= []).push(this.now()); this.state.lines.push(text); if (this.state.lines.length > 30) this.state.lines.shift(); } };');
  beside.ana = await beside.join("Ana");
  await assert.rejects(beside.repeat(100, () => beside.ana.send("say", "x".repeat(200))), { rule: "growth", message: /most of it in player\.data\.times: / }, "a list with a limit hides nothing that grows beside it");
  await bounded.repeat(100, () => bounded.ana.send("say", "hello"));
  await grows.repeat(20, () => grows.ana.send("say", "hello"), { growth: false });
});

test("invariants of a play hold in stories too", async () => {
  const where = written("state = { n: 0 }; messages = { add: () => { this.state.n++; } };");
  play(where, { messages: { add: null }, steps: 3, repetitions: 0, invariants: { "it never falls": ({ state }, before) => state.n >= (before?.state.n ?? 0), "it is below two": ({ state }) => state.n < 20 } });
  const room = await createRoom(where);
  const ana = await room.join("Ana");
  for (let i = 0; i < 19; i++) await ana.send("add");
  await assert.rejects(ana.send("add"), { rule: "invariant: it is below two", message: '"it is below two" does not hold: it returned false' });
});

test("invariants hold after whole records: a newcomer who replaces a session, a kick, the end", async () => {
  const where = written(`static config = { sessionsPerPlayer: 1 }; state = { here: [], over: false };
    onJoin({ session }) { this.state.here.push(session); }
    onLeave({ session }) { this.state.here = this.state.here.filter((one) => one !== session); }
    onDispose() { this.state.over = true; }
    messages = { out: () => { for (const one of this.players) one.kick("all out"); }, end: () => this.end(null) };`);
  const counts = [];
  play(where, {
    messages: { out: null }, repetitions: 0,
    invariants: {
      "who is here is a member": ({ state, members }) => assert.deepEqual(state.here, members.map(({ session }) => session)),
      "each player is here once": ({ members }) => (counts.push(members.length), new Set(members.map(({ id }) => id)).size === members.length),
      "the end is one record": ({ state, ended }) => assert.equal(state.over, ended),
    },
  });
  const room = await createRoom(where);
  counts.length = 0;
  const first = await room.join("Ana"), second = await room.join("Ana");
  assert.deepEqual([first.isMember, second.isMember, counts], [false, true, [1, 1]]);
  await room.join("Ben");
  await second.send("out");
  assert.deepEqual(counts, [1, 1, 2, 0]);
  const cleo = await room.join("Cleo");
  await cleo.send("end");
  assert.equal(room.ended, true);
});

test("wrong uses are named", async () => {
  await assert.rejects(createRoom("no-such-kind"), /no such guest; there are: /);
  assert.throws(() => play("x", { invariant: () => true }), /play: there is no "invariant"; there are: create, /);
  assert.throws(() => play("x", { players: 9 }), /play: players is 1 to 8, not 9/);
  const room = await roomWith("");
  const ana = await room.join("Ana");
  await assert.rejects(ana.arrive(), /Ana is on no way to another room/);
  await ana.leave();
  await assert.rejects(ana.send("x"), /Ana is not in the room/);
});

const FINDER = `state = { tables: [] };
  answers = { tables: (found, data) => { this.state.tables.push(found.error ?? [data, ...found.rooms.map(({ id }) => id)]); } };
  messages = { look: (_, data) => { this.rooms.find("table", { open: true }, "tables", data); } };`;

test("a search is answered by the test, also after a restore, or fails at its deadline", async () => {
  const room = await roomWith(FINDER), ana = await room.join("Ana");
  await ana.send("look", 1);
  await ana.send("look", 2);
  assert.deepEqual(room.finds[0], { kind: "table", where: { open: true }, handler: "tables", data: 1 });
  await room.restore();
  await room.answer({ rooms: [{ id: "one" }] });
  assert.deepEqual(room.state.tables, [[1, "one"]]);
  await room.advance(10_000);
  assert.deepEqual(room.state.tables, [[1, "one"], "no answer within 10000 ms"]);
  await assert.rejects(async () => room.answer({ rooms: [] }), /looks for nothing/);
});

test("a search finds the rooms that the test has", async () => {
  const find = (kind, where) => (kind === "table" && where.open ? [{ id: "two" }] : []);
  const room = await roomWith(FINDER, {}, { find }), ana = await room.join("Ana");
  await ana.send("look", 7);
  await room.advance(1);
  assert.deepEqual(room.state.tables, [[7, "two"]]);
});

test("in an outage time passes, and timers that are overdue wait after it", async () => {
  const room = await roomWith(`state = { fired: [] };
  timers = { short: () => { this.state.fired.push("short"); }, long: () => { this.state.fired.push("long"); } };
  messages = { set: () => { this.schedule.after(3_000, "short"); this.schedule.after(60_000, "long"); }, time: () => this.now() };`);
  const ana = await room.join("Ana"), before = await ana.send("time");
  await ana.send("set");
  await room.outage(90_000);
  assert.equal(await ana.send("time"), before + 90_000);
  assert.deepEqual(room.state.fired, []);
  await room.advance(3_000);
  assert.deepEqual(room.state.fired, ["short"]);
  await room.advance(7_000);
  assert.deepEqual(room.state.fired, ["short", "long"]);
});
