// The SDK's promises to an author, and the contract.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import * as contract from "../build/contract.mjs";
import * as layout from "../sdk/layout.js";
import { compiledClass, room, roomNamed, roomOf, scriptOf, session, uncreatedRoom } from "./story.mjs";

const tags = (story) => story.effects.map(({ tag }) => tag);
const COUNTER = "onCreate() { this.state = { count: 0 }; } messages = { add: () => ++this.state.count, look: () => this.state.count, mean: () => { this.state.count = 99; this.broadcast('x'); this.lock(); this.log.info('seen'); this.refuse('no'); } };";

test("the SDK implements wit/room.wit: its effects are the contract's, and every event is handled", () => {
  const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
  const wit = read("../../wit/room.wit");
  const rows = (head) => new RegExp(`\\| tag \\| ${head} \\|.*?\\n((?: *///? \\|.*\\n)+)`).exec(wit)[1];
  const tags = (head) => Object.fromEntries([...rows(head).matchAll(/\| (0x[0-9a-f]{2}) \| `([a-z-]+)` \|/g)].map(([, tag, name]) => [name, Number(tag)]));
  const tagsOf = (table) => Object.fromEntries(Object.entries(table).map(([name, [tag]]) => [name, tag]));
  assert.deepEqual(tagsOf(layout.EFFECTS), tags("effect"));
  assert.deepEqual(tagsOf(contract.EFFECTS), tags("effect"));
  assert.deepEqual(Object.fromEntries(Object.entries(layout.EVENTS).map(([tag, [name]]) => [name, Number(tag)])), tags("event"));
  // The entries of slots are the engine's alone: the reference is one room.
  const [select, close] = ["select", "close"].map((name) => contract.entry(name, 0)[0]);
  assert.deepEqual({ open: layout.OPEN, save: layout.SAVE, select, close }, tags("entry"));
  assert.deepEqual(layout.OUTCOMES, tags("outcome"));
  assert.deepEqual(tagsOf(contract.OUTCOMES), tags("outcome"));
  const sdk = readdirSync(new URL("../sdk", import.meta.url)).filter((file) => file.endsWith(".js")).map((file) => read(`../sdk/${file}`)).join("");
  const emitted = [...sdk.matchAll(/emit\("([a-z-]+)"|(log): \[/g)].map(([, name, log]) => name ?? log);
  assert.deepEqual([...new Set(emitted)].sort(), Object.keys(tags("effect")).sort());
  assert.deepEqual([...sdk.matchAll(/case "([a-z-]+)":|event === "([a-z-]+)"\) /g)].map(([, name, other]) => name ?? other).filter((name) => name.length > 1).sort(), Object.keys(tags("event")).sort());
});

// State and views

test("a new room shows its state, even when there is nothing in it", async () => {
  const story = await roomOf("");
  assert.deepEqual(story.effects, [{ tag: "view", val: "{}" }]);
});

test("a view goes out when the state has changed, before the reply, and not otherwise", async () => {
  const story = (await roomOf(COUNTER)).join("ana");
  assert.deepEqual(tags(story), ["admit"]);
  assert.deepEqual(story.message("ana", "add").effects, [{ tag: "view", val: '{"count":1}' }, { tag: "reply", val: "1" }]);
  assert.deepEqual(story.message("ana", "look").effects, [{ tag: "reply", val: "1" }]);
});

test("a field gives the first state, and onCreate may change it", async () => {
  const story = await roomOf("state = { a: 1 }; onCreate({ b }) { this.state.b = b; }", { b: 2 });
  assert.deepEqual(story.state, { a: 1, b: 2 });
});

test("a view of its own is made for each member when the state changes, for the new one when it does not", async () => {
  const story = await roomOf("state = { n: 0, secret: 1 }; messages = { add: () => { this.state.n++; } }; view({ n }, player) { return { n, you: player.name }; }");
  story.join("ana").join("bo");
  assert.deepEqual(story.effects.map(({ tag, val }) => [tag, val.session]), [["admit", undefined], ["view-of", session("bo")]]);
  story.message("ana", "add");
  assert.deepEqual([story.viewOf("ana"), story.viewOf("bo")], [{ n: 1, you: "ana" }, { n: 1, you: "bo" }]);
});

test("a view without a player parameter is shared by all members", async () => {
  const story = (await roomOf("state = { n: 0, secret: 1 }; view({ n }) { return { n }; }")).join("ana");
  assert.deepEqual(story.viewOf("ana"), { n: 0 });
  assert.deepEqual(tags(story), ["admit"]);
});

test("memory holds what a restored room would have: a Date does not outlive its call", async () => {
  const story = (await roomOf("messages = { put: () => { this.state.at = new Date(0); this.state.gone = undefined; }, look: () => [typeof this.state.at, 'gone' in this.state] };")).join("ana");
  assert.deepEqual(story.message("ana", "put").message("ana", "look").reply, ["string", false]);
  assert.deepEqual(story.state, { at: "1970-01-01T00:00:00.000Z" });
});

for (const [statement, words] of [
  ["this.state.bag = { m: new Map([[1, 2]]) }", "this.state.bag.m is a Map"],
  ["this.state.list = [1, new Set()]", "this.state.list[1] is a Set"],
  ["this.state.n = NaN", "this.state.n is NaN"],
  ["this.state.n = { low: -Infinity }", "this.state.n.low is -Infinity"],
  ["this.state.f = () => 1", "this.state.f is a function"],
  ["this.state.s = Symbol('x')", "this.state.s is a symbol"],
  ["this.state.bytes = new Uint8Array(2)", "this.state.bytes is a Uint8Array"],
  ["this.state['a b'] = [{ card: new (class Card { #rank = 1; })() }]", "this.state[\"a b\"][0].card is a Card"],
  ["this.state.stack = new (class Stack extends Array {})()", "this.state.stack is a Stack"],
  ["this.state.error = new Error('x')", "this.state.error is an Error"],
  ["this.state.list = Object.assign([1], { extra: 1 })", "this.state.list.extra would be lost"],
  ["this.state.o = Object.defineProperty({}, 'hidden', { value: 1 })", "this.state.o.hidden would be lost"],
  ["this.state.o = { [Symbol('x')]: 1 }", "this.state.o has a symbol as a key"],
  ["player.data = { seen: new Set() }", "player.data.seen is a Set"],
  ["player.data = NaN", "player.data is NaN"],
  ["return { a: [new Map()] }", "the reply to \"run\".a[0] is a Map"],
  ["this.broadcast('x', { a: NaN })", "broadcast: the data of \"x\".a is NaN"],
  ["player.send('x', [() => 1])", "player.send: the data of \"x\"[0] is a function"],
  ["this.schedule.after(1, 't', new Map())", "schedule.after: the payload is a Map"],
  ["this.rooms.create('k', { seats: new Set() })", "rooms.create: the options.seats is a Set"],
  ["this.setMetadata({ n: 0 / 0 })", "setMetadata: the data.n is NaN"],
  ["this.end(new Map())", "end: the outcome is a Map"],
]) {
  test(`${statement} is an error that names the place`, async () => {
    const story = (await roomOf(`state = {}; timers = { t() {} }; messages = { run: (player) => { ${statement}; }, fine: () => 1 };`)).join("ana");
    assert.throws(() => story.message("ana", "run"), ({ message }) => message.startsWith(`TypeError: ${words}`), words);
  });
}

test("a view that changes the state changes nothing", async () => {
  const story = (await roomOf("state = { n: 0 }; messages = { add: () => { this.state.n++; } }; view(state) { state.n = 100; return state; }")).join("ana");
  assert.equal(story.message("ana", "add").state.n, 1);
});

for (const [type, words] of [
  ["cycle", /this\.state is not plain JSON data/],
  ["bigint-state", /this\.state is not plain JSON data/],
  ["no-state", /this\.state is undefined; it must be plain JSON data/],
  ["function-state", /this\.state is a function; it must be plain JSON data/],
  ["bigint", /the reply to "bigint" is not plain JSON data/],
  ["function", /the reply to "function" is a function; it must be plain JSON/],
  ["player", /a player is not plain data: keep player\.id or player\.session/],
  ["promise", /messages\.promise returned a promise: hooks are synchronous/],
  ["empty-type", /broadcast: the type has 1 to 64 bytes, this one 0/],
  ["infinity", /schedule\.after\(ms, name\): ms must be a number/],
  ["no-such-timer", /schedule\.after: `timers` has no "tock"; it has: tick/],
  ["no-such-room", /rooms\.send: "nowhere" is not a room's id/],
  ["own-field", /this\.count cannot be set: only this\.state survives; put it there/],
  ["throw-nothing", /threw undefined/],
  ["throw-surrogate", /Error: cut \ufffd/],
  ["throw-unprintable", /threw something that cannot be printed/],
]) {
  test(`return-garbage: ${type} is an error with a clear message`, async () => {
    const story = (await room("return-garbage")).join("ana");
    assert.throws(() => story.message("ana", type), words);
  });
}

test("half a surrogate pair leaves as a text that every parser accepts", async () => {
  const story = (await room("return-garbage")).join("ana");
  story.message("ana", "surrogate");
  assert.deepEqual(story.effects.at(0).val.type, "\ufffd");
  assert.equal(story.message("ana", "surrogate-refusal").refused, "cut \ufffd");
});

// Messages and joins

test("each message has one reply; a handler that returns nothing replies with null", async () => {
  const story = (await roomOf("messages = { nothing: () => {}, thing: (player, data) => ({ data }) };")).join("ana");
  assert.equal(story.message("ana", "nothing").reply, null);
  assert.deepEqual(story.message("ana", "thing", [1]).reply, { data: [1] });
});

test("a refusal restores the state and the lock, drops every effect but the log, and is the one answer", async () => {
  const story = (await roomOf(COUNTER)).join("ana");
  story.message("ana", "mean");
  assert.deepEqual(story.effects, [{ tag: "log", val: { level: "info", text: "seen" } }, { tag: "refuse", val: "no" }]);
  assert.deepEqual(story.state, { count: 0 });
  assert.equal(story.message("ana", "add").reply, 1);
});

test("refuse is for messages and joins", async () => {
  const story = (await roomOf("timers = { t: () => this.refuse('no') }; onCreate() { this.schedule.after(1, 't'); }"));
  assert.throws(() => story.wait(1), /this\.refuse\(reason\) answers a message or a join/);
});

test("a thrown value arrives as text, with its place and its remedy", async () => {
  const story = (await roomOf("messages = { oops: () => { null.x; }, undo: () => { (0, eval)('setTimeout(1)'); } };")).join("ana");
  assert.throws(() => story.message("ana", "oops"), /TypeError: .*null.*\n\s+at /s);
  assert.throws(() => story.message("ana", "undo"), /setTimeout is not defined; use instead: declare it in `timers/);
});

test("a handler may be a method, and has the room for `this`", async () => {
  const story = (await roomOf("messages = { who(player) { return [this.kind, player.name]; } };")).join("ana");
  assert.deepEqual(story.message("ana", "who").reply, ["test", "ana"]);
});

test("admission: true, a spectator, false, a refusal", async () => {
  const story = await roomOf("onJoinAttempt(player, { say }) { if (say === 'refuse') this.refuse('not you'); return say; } onJoin(player) { this.broadcast('in', player.spectator); } messages = { who: () => [...this.players].map(({ name }) => name) };");
  assert.deepEqual(tags(story.join("ana", { options: { say: true } })), ["admit", "broadcast"]);
  assert.equal(story.join("bo", { options: { say: "spectator" } }).effects[0].val, "spectator");
  assert.deepEqual(story.received("bo"), [{ type: "in", data: true }]);
  assert.equal(story.join("cid", { options: { say: false } }).refused, "the room did not let you in");
  assert.equal(story.join("dee", { options: { say: "refuse" } }).refused, "not you");
  assert.throws(() => story.join("eve", { options: { say: 1 } }), /onJoinAttempt returned a number; it must be true, false or "spectator"/);
  assert.deepEqual(story.message("ana", "who").reply, ["ana", "bo"]);
});

test("a full room gives no player a seat, also when its script admits one; a spectator may join", async () => {
  assert.equal((await roomOf("")).join("ana", { full: true }).refused, "the room is full");
  assert.equal((await roomOf("onJoinAttempt() { return true; }")).join("ana", { full: true }).refused, "the room is full");
  assert.equal((await roomOf("onJoinAttempt() { return 'spectator'; }")).join("ana", { full: true }).effects[0].val, "spectator");
});

// Players and spectators

const TABLE = "static config = { maxPlayers: 2 }; state = { n: 0 }; onJoinAttempt(player) { return player.spectator ? 'spectator' : true; }";
test("the claims of a player's token are there in the hooks of the join, and nowhere later", async () => {
  const story = await roomOf("onJoinAttempt(player) { if (player.claims?.ban) this.refuse('banned'); return true; } onJoin(player) { this.state.seen = [player.claims?.role ?? null, [...this.players].map((one) => one.claims === undefined)]; } messages = { look: (player) => player.claims === undefined, set: (player) => { player.claims = {}; } };");
  story.join("ana", { claims: { role: "admin" } });
  assert.deepEqual(story.state.seen, ["admin", [false]]);
  assert.equal(story.message("ana", "look").reply, true);
  story.join("bo");
  assert.deepEqual(story.state.seen, [null, [true, true]]);
  assert.equal(story.join("cid", { claims: { ban: true } }).refused, "banned");
  assert.throws(() => story.message("ana", "set"), /player\.claims cannot be set/);
});

test("a guest that signs in has its account's identity where the room has onUpgrade", async () => {
  const body = (hook) => `state = { scores: {} }; ${hook} messages = { score: (player) => { this.state.scores[player.id] = 1; player.data.n = 1; }, who: (player) => [player.id, player.name, player.data.n, this.players.of(player.id).length] };`;
  const merges = "onUpgrade(player, oldId) { this.state.scores[player.id] = [this.state.scores[oldId], player.claims.role]; delete this.state.scores[oldId]; }";
  const story = (await roomOf(body(merges))).join("ana").message("ana", "score");
  story.identify("ana", "u:42", { claims: { role: "admin" } });
  assert.deepEqual(story.state.scores, { "u:42": [1, "admin"] });
  assert.deepEqual(story.message("ana", "who").reply, ["u:42", "u:42", 1, 1]);
  assert.deepEqual(story.restore("recovered").message("ana", "who").reply, ["u:42", "u:42", 1, 1]);
  const old = (await roomOf(body(""))).join("ana").message("ana", "score").identify("ana", "u:42");
  assert.deepEqual(old.message("ana", "who").reply, ["ana", "ana", 1, 1], "without the hook it keeps the old one");
  const fails = (await roomOf("onUpgrade() { throw new Error('no'); } messages = { who: (player) => player.id };")).join("ana");
  assert.throws(() => fails.identify("ana", "u:42"), /no/);
});

const ROLES = "messages = { sit: (player) => { player.sit(); return player.spectator; }, stand: (player) => { player.stand(); return player.spectator; }, roles: () => [...this.players].filter(({ spectator }) => spectator).map(({ name }) => name), try: (player, call) => { try { player[call](); } catch ({ name, message }) { return `${name}: ${message}`; } }, no: (player) => { player.stand(); this.refuse('no'); } };";

/** A room for two players, with Cid as a spectator. */
async function table(body = "") { return (await roomOf(`${TABLE} ${ROLES} ${body}`)).join("ana").join("bo").join("cid"); }

test("a spectator sits down where a player stands up, and both keep their data", async () => {
  const story = await table("onJoin(player) { player.data.name = player.name; }");
  assert.deepEqual(story.message("ana", "roles").reply, ["cid"]);
  assert.equal(story.message("ana", "stand").reply, true);
  assert.deepEqual(story.effects[0], { tag: "stand", val: session("ana") });
  assert.equal(story.message("cid", "sit").reply, false);
  assert.deepEqual(story.effects[0], { tag: "sit", val: session("cid") });
  assert.deepEqual(story.restore("recovered").message("bo", "roles").reply, ["ana"]);
  assert.deepEqual(JSON.parse(story.saved.state).data[session("cid")], { name: "cid" });
  assert.deepEqual(JSON.parse(story.saved.state).data[session("ana")], { name: "ana" });
});

test("a change of role that cannot be made is an error that a script can catch, and changes nothing", async () => {
  const story = await table();
  assert.equal(story.message("cid", "try", "sit").reply, "RangeError: player.sit: the room has 2 players, the most that it may have (config.maxPlayers)");
  assert.equal(story.message("ana", "try", "sit").reply, "TypeError: player.sit: this member is a player already");
  assert.equal(story.message("cid", "try", "stand").reply, "TypeError: player.stand: this member is a spectator already");
  assert.deepEqual(tags(story), ["reply"]);
  assert.deepEqual(story.message("ana", "roles").reply, ["cid"]);
  assert.throws(() => story.message("cid", "sit"), /RangeError: player\.sit: the room has 2 players/);
});

test("only a member sits down or stands up", async () => {
  const story = await roomOf("onJoinAttempt(player, { call }) { player[call ?? 'send']('x'); return true; } onLeave(player) { player.stand(); }");
  for (const call of ["sit", "stand"]) assert.throws(() => story.join("ana", { options: { call } }), new RegExp(`TypeError: player\\.${call}: the player is not in this room`));
  story.join("ana");
  assert.throws(() => story.leave("ana"), /TypeError: player\.stand: the player is not in this room/);
});

test("without maxPlayers every spectator may sit down", async () => {
  const story = (await roomOf(`onJoinAttempt() { return 'spectator'; } ${ROLES}`)).join("ana").join("bo");
  for (const name of ["ana", "bo"]) assert.equal(story.message(name, "sit").reply, false);
});

test("a refusal restores the roles", async () => {
  const story = await table();
  assert.deepEqual(story.message("ana", "no").effects, [{ tag: "refuse", val: "no" }]);
  assert.match(story.message("cid", "try", "sit").reply, /the room has 2 players/);
  assert.deepEqual(story.message("ana", "roles").reply, ["cid"]);
});

test("a hook that decides a join may free a seat for the newcomer, or give the last one away", async () => {
  const body = "static config = { maxPlayers: 1 }; onJoinAttempt(player, { take, give }) { for (const one of this.players) { if (take && !one.spectator) one.stand(); if (give === one.name) one.sit(); } return take || give ? true : 'spectator'; }";
  const story = (await roomOf(`${body} ${ROLES}`)).join("ana").join("bo", { options: { take: true } });
  assert.deepEqual(story.message("ana", "roles").reply, ["ana"]);
  story.join("cid", { options: { take: true } });
  assert.deepEqual(tags(story), ["stand", "admit"]);
  assert.deepEqual(story.message("ana", "roles").reply, ["ana", "bo"]);
  story.leave("cid");
  assert.equal(story.join("dee", { options: { give: "ana" } }).refused, "the room is full");
  assert.deepEqual(story.message("ana", "roles").reply, ["ana", "bo"], "the refusal restores the roles");
});

test("a change of role shows in views, also when the state is as before", async () => {
  const story = await table("view({ n }, player) { return { n, watches: player.spectator }; }");
  story.message("ana", "stand");
  assert.deepEqual(["ana", "bo", "cid"].map((name) => story.viewOf(name).watches), [true, false, true]);
  story.message("cid", "sit");
  assert.deepEqual(["ana", "bo", "cid"].map((name) => story.viewOf(name).watches), [true, false, false]);
  const shared = await table("view() { return [...this.players].map(({ spectator }) => spectator); }");
  assert.deepEqual(shared.message("ana", "stand").viewOf("cid"), [true, false, true]);
});

test("a seat that a player has left, or is taken from a disconnected one, is free", async () => {
  const story = await table("onDrop(player) { player.stand(); }");
  story.drop("ana");
  assert.equal(story.message("cid", "sit").reply, false);
  assert.deepEqual(story.reconnect("ana").message("ana", "roles").reply, ["ana"]);
  story.leave("bo");
  assert.equal(story.message("ana", "sit").reply, false);
});

test("after a swap a script may change roles, and after another restore it may not", async () => {
  const story = await table();
  const changes = await compiledClass(`${TABLE} ${ROLES} onRestore() { for (const one of this.players) if (one.name === 'ana' && !one.spectator) one.stand(); }`);
  story.restore("swapped", changes);
  assert.deepEqual(story.message("bo", "roles").reply, ["ana", "cid"]);
  story.message("ana", "sit").restore("woken");
  assert.deepEqual(tags(story), ["log"]);
  assert.deepEqual(story.message("bo", "roles").reply, ["cid"]);
});

test("hooks see the members as they are", async () => {
  const look = (hook) => `${hook}(player, reason) { this.broadcast("${hook}", [player.name, player.connected, this.players.size, reason ?? null]); }`;
  const story = (await roomOf(["onJoin", "onDrop", "onReconnect", "onLeave"].map(look).join("\n"))).join("bo").join("ana");
  story.received("bo");
  story.drop("ana").reconnect("ana").drop("ana").leave("ana", "timed-out");
  assert.deepEqual(story.received("bo").map(({ type, data }) => [type, ...data]), [
    ["onDrop", "ana", false, 2, null], ["onReconnect", "ana", true, 2, null], ["onDrop", "ana", false, 2, null], ["onLeave", "ana", false, 1, "timed-out"],
  ]);
});

test("a broadcast omits the members in except: a player, a session, or several", async () => {
  const story = (await roomOf("messages = { tell: (player, how) => { this.broadcast('x', 1, { except: how === 'me' ? player : how === 'all' ? [...this.players] : player.session }); } };")).join("ana").join("bo");
  assert.deepEqual(story.message("ana", "tell", "me").effects[0].val.except, [session("ana")]);
  assert.deepEqual(story.message("ana", "tell", "session").effects[0].val.except, [session("ana")]);
  assert.deepEqual(story.message("ana", "tell", "all").effects[0].val.except, [session("ana"), session("bo")]);
});

test("a player's data survives with the room, shows in views, and goes when the player leaves", async () => {
  const story = (await roomOf("messages = { score: (player) => { player.data.score = (player.data.score ?? 0) + 1; return player.data.score; } }; view(state, player) { return player.data; }")).join("ana").join("bo");
  assert.equal(story.message("ana", "score").message("ana", "score").reply, 2);
  assert.deepEqual([story.viewOf("ana"), story.viewOf("bo")], [{ score: 2 }, {}]);
  assert.deepEqual(JSON.parse(story.saved.state), { state: {}, data: { [session("ana")]: { score: 2 } } });
  assert.equal(story.restore("recovered").message("ana", "score").reply, 3);
  assert.deepEqual(JSON.parse(story.leave("ana").saved.state), { state: {} });
});

// A player's sessions

const SEATS = "static config = { maxPlayers: 2, sessionsPerPlayer: 1 }; onJoin(player) { this.broadcast('in', [player.data.score ?? null, this.players.of(player.id).length]); } onLeave(player, reason) { this.broadcast('out', [player.data.score ?? null, reason, this.players.of(player.id).length]); } messages = { score: (player) => { player.data.score = (player.data.score ?? 0) + 1; return player.data.score; }, stand: (player) => player.stand(), watches: (player) => player.spectator };";

test("without sessionsPerPlayer a player is a member by each of its sessions", async () => {
  const story = (await roomOf("messages = { who: (player) => this.players.of(player.id).length };")).join("ana").join("ana", { tab: "phone" });
  assert.equal(story.message("phone", "who").reply, 2);
});

test("a further session takes the older one's seat and its data, and both are there in onJoin", async () => {
  const story = (await roomOf(SEATS)).join("ana").join("bo").message("ana", "score");
  story.received("bo");
  story.join("ana", { tab: "phone" });
  assert.deepEqual(tags(story), ["admit", "broadcast", "broadcast"], "it has a seat, though both were taken");
  assert.deepEqual(story.received("bo"), [{ type: "in", data: [1, 2] }, { type: "out", data: [1, "replaced", 1] }]);
  assert.equal(story.message("phone", "score").reply, 2);
  assert.deepEqual(JSON.parse(story.restore("recovered").saved.state).data, { [session("phone")]: { score: 2 } });
  assert.equal(story.join("cid").refused, "the room is full");
});

test("a spectator's further session is a spectator, where there is no seat for a player", async () => {
  const story = (await roomOf(SEATS)).join("ana").join("bo").message("ana", "stand").join("cid");
  story.join("ana", { tab: "phone" });
  assert.equal(story.effects[0].val, "spectator");
  assert.equal(story.message("phone", "watches").reply, true);
  assert.equal(story.message("cid", "watches").reply, false);
});

test("a further session that is refused leaves the older one as it is", async () => {
  const story = (await roomOf(`${SEATS} onJoinAttempt(player, { no }) { return !no; }`)).join("ana").message("ana", "score");
  assert.equal(story.join("ana", { tab: "phone", options: { no: true } }).refused, "the room did not let you in");
  assert.equal(story.message("ana", "score").reply, 2);
});

test("of several sessions the oldest leaves, and its data passes on", async () => {
  const story = (await roomOf(SEATS.replace("sessionsPerPlayer: 1", "sessionsPerPlayer: 2"))).join("ana").message("ana", "score");
  story.join("ana", { tab: "phone" }).join("ana", { tab: "tv" });
  assert.deepEqual(JSON.parse(story.saved.state).data, { [session("tv")]: { score: 1 } });
  story.join("ana");
  assert.deepEqual(JSON.parse(story.saved.state).data, { [session("tv")]: { score: 1 } }, "the phone had none");
});

// Operators

test("a report goes to operators: with its reason, its data, and the member's session", async () => {
  const story = (await roomOf("messages = { report: (player, [reason, data]) => player.report(reason, data), twice: (player) => { player.report('a'); this.refuse('no'); } }; onJoinAttempt(player) { player.report('joins'); return true; } onLeave(player) { player.report('left'); }")).join("ana");
  assert.deepEqual(story.effects[0], { tag: "report", val: { session: session("ana"), reason: "joins", data: "null" } });
  story.message("ana", "report", ["spam", { said: ["buy"] }]);
  assert.deepEqual(story.effects[0], { tag: "report", val: { session: session("ana"), reason: "spam", data: '{"said":["buy"]}' } });
  assert.deepEqual(tags(story.message("ana", "twice")), ["refuse"], "a refusal drops it");
  assert.throws(() => story.message("ana", "report", [1]), /player\.report: the reason must be a string, not a number/);
  assert.throws(() => story.message("ana", "report", ["spam", "x".repeat(4_095)]), /player\.report: the data has 4097 bytes as JSON; it may have 4096/);
  assert.deepEqual(tags(story.leave("ana")), ["report"]);
});

test("a player that is erased is passed to onErase; a room without the hook keeps what its script has stored", async () => {
  const body = (hook) => `state = { scores: {} }; ${hook} messages = { score: (player) => { this.state.scores[player.id] = 1; } };`;
  const story = (await roomOf(body("onErase(id) { delete this.state.scores[id]; }"))).join("ana").join("bo").message("ana", "score").message("bo", "score");
  story.leave("ana", "kicked").erase("ana");
  assert.deepEqual([story.state.scores, tags(story)], [{ bo: 1 }, ["view"]]);
  assert.deepEqual(tags(story.erase("ana")), [], "a second time changes nothing");
  const keeps = (await roomOf(body(""))).join("ana").message("ana", "score").leave("ana").erase("ana");
  assert.deepEqual(keeps.state.scores, { ana: 1 });
});

test("chat: a moderator, by the claims of its token, mutes a player for some time", async () => {
  const story = (await room("chat")).join("mia", { claims: { role: "moderator" } }).join("ana", { claims: { role: "player" } }).join("bo");
  assert.equal(story.message("ana", "mute", { id: "bo", seconds: 60 }).refused, "only moderators mute");
  assert.equal(story.message("mia", "mute", { id: "nobody", seconds: 60 }).refused, "nobody here has that id");
  assert.equal(story.message("mia", "mute", { id: "ana", seconds: 1e9 }).refused, "seconds must be from 1 to 86400");
  story.message("mia", "mute", { id: "ana", seconds: 60 }).received("bo");
  story.wait(1);
  assert.equal(story.message("ana", "say", "hello").refused, "you are muted for 60 s");
  assert.equal(story.message("bo", "say", "hello").refused, undefined);
  // Neither another tab nor an account is a way out.
  story.join("ana", { tab: "phone" }).leave("ana");
  assert.equal(story.message("phone", "say", "hello").refused, "you are muted for 60 s");
  story.identify("phone", "u:ana");
  assert.equal(story.message("phone", "say", "hello").refused, "you are muted for 60 s");
  story.wait(60_000).received("bo");
  story.message("phone", "say", "hello");
  assert.deepEqual(story.received("bo"), [{ type: "said", data: { name: "u:ana", text: "hello" } }]);
  story.message("mia", "mute", { id: "u:ana", seconds: 60 }).message("mia", "unmute", { id: "u:ana" });
  assert.equal(story.message("phone", "say", "hello").refused, undefined);
  story.message("mia", "mute", { id: "bo", seconds: 60 }).leave("bo").erase("bo");
  assert.deepEqual(story.state, { muted: {} });
});

test("chat: a member reports another to the operators", async () => {
  const story = (await room("chat")).join("ana").join("bo").message("ana", "report", { id: "bo", text: "rude" });
  assert.deepEqual(story.effects[0].val, { session: session("bo"), reason: "reported by a player", data: '{"by":"ana","text":"rude"}' });
});

// Time, chance, other rooms

test("a created room's id is derived from its record, and a counter", async () => {
  const story = (await roomOf("messages = { two: () => [this.rooms.create('a', { x: 1 }), this.rooms.create('b')] };")).join("ana");
  const [a, b] = story.message("ana", "two").reply;
  assert.match(a, /^[0-9a-f]{32}$/);
  const word = (id) => parseInt(id.slice(24), 16);
  assert.deepEqual([b.slice(0, 24), word(b)], [a.slice(0, 24), (word(a) + 1) >>> 0]);
  assert.deepEqual(story.created, [{ kind: "a", options: { x: 1 } }, { kind: "b", options: {} }]);
});

test("randomness is the record's: another room, and another call, draw other numbers", async () => {
  const body = "messages = { draw: () => [Math.random(), this.random.float(), this.random.int(1000000)] };";
  const script = roomOf(body, {}, { id: roomNamed("one") });
  const one = (await script).join("ana"), other = (await roomOf(body, {}, { id: roomNamed("other") })).join("ana");
  const draws = [one.message("ana", "draw").reply, one.message("ana", "draw").reply, other.message("ana", "draw").reply].flat();
  assert.equal(new Set(draws).size, draws.length);
});

test("random numbers are uniform", async () => {
  const story = (await roomOf("messages = { roll: () => { const counts = [0, 0, 0, 0, 0, 0]; for (let i = 0; i < 6000; i++) counts[this.random.int(6)]++; return counts; }, first: () => { const counts = [0, 0, 0, 0]; for (let i = 0; i < 4000; i++) counts[this.random.shuffle([0, 1, 2, 3])[0]]++; return counts; } };")).join("ana");
  for (const count of [...story.message("ana", "roll").reply, ...story.message("ana", "first").reply]) assert.ok(count > 850 && count < 1150, `${count}`);
});

test("all clocks are the record's", async () => {
  const story = (await roomOf("messages = { time: () => [this.now(), Date.now(), new Date().getTime(), performance.now()] };")).join("ana").wait(1234);
  assert.deepEqual(new Set(story.message("ana", "time").reply), new Set([story.now]));
});

test("chance-and-time: a long story of dates, dice and timers is the same in a replay", async () => {
  const story = (await room("chance-and-time", { rounds: 10 })).join("ana").wait(5_000);
  story.message("ana", "create").roomMessage(roomNamed("x"), { hops: 2 }).message("ana", "later", 50).wait(1_000).message("ana", "deal");
  assert.deepEqual([...story.reply].sort((a, b) => a - b), Array.from({ length: 52 }, (_, card) => card));
  assert.ok(story.state.drawn > 12);
});

test("the lobby has a constant id", async () => {
  const story = (await roomOf("messages = { home: (player) => player.moveTo('lobby'), same: () => LOBBY, away: (player) => player.moveTo('away') };")).join("ana");
  story.message("ana", "home");
  assert.equal(story.moves[0].room, story.message("ana", "same").reply);
  assert.throws(() => story.message("ana", "away"), /player\.moveTo: "away" is not a room's id/);
});

test("a timer has its payload, and replaces one of the same name", async () => {
  const story = await roomOf("state = []; timers = { t: (payload) => { this.state.push(payload); } }; onCreate() { this.schedule.after(1, 't', 'a'); this.schedule.after(2, 't', { b: 1 }); }");
  assert.deepEqual(story.wait(10).state, [{ b: 1 }]);
});

test("lock, metadata, end and kick reach the host", async () => {
  const story = (await roomOf("messages = { all: (player) => { this.lock(); this.setMetadata({ m: 1 }); player.kick('enough'); this.end({ e: 1 }); return this.locked; } };")).join("ana");
  assert.equal(story.message("ana", "all").reply, true);
  assert.deepEqual([story.metadata, story.outcome, story.kicked], [{ m: 1 }, { e: 1 }, [{ session: session("ana"), reason: "enough" }]]);
});

test("the log accepts any value", async () => {
  const story = (await room("console")).join("ana");
  assert.deepEqual(story.message("ana", "levels").log.map(({ level }) => level), ["info", "debug", "info", "warn", "error", "info"]);
  assert.equal(story.message("ana", "strange").reply, null);
  story.log.length = 0;
  assert.deepEqual(story.message("ana", "then-refuse").log, [{ level: "info", text: "kept" }]);
});

// Calls that a script must not make

test("only the state survives: fields cannot be set, nor what is in them", async () => {
  const story = (await roomOf("table = { a: [1] }; messages = { field: () => { this.table = 1; }, fresh: () => { this.fresh = 1; }, deep: () => { this.table.a.push(2); }, handler: () => { this.messages.more = () => {}; }, hook: () => { this.onJoin = () => {}; }, read: () => this.table.a[0] };")).join("ana");
  for (const type of ["field", "fresh", "deep", "handler", "hook"]) {
    assert.throws(() => story.message("ana", type), /only this\.state survives; put it there/, type);
  }
  assert.equal(story.message("ana", "read").reply, 1);
});

test("a room has nothing of Node, of a browser, or of the collector", async () => {
  const story = (await roomOf("messages = { all: () => Object.getOwnPropertyNames(globalThis) };")).join("ana");
  const names = new Set(story.message("ana", "all").reply);
  for (const name of ["setTimeout", "fetch", "process", "require", "WeakRef", "FinalizationRegistry", "Intl", "WebAssembly"]) assert.ok(!names.has(name), name);
  for (const name of ["console", "structuredClone", "performance"]) assert.ok(names.has(name), name);
});

test("a script that breaks the engine's own objects does not break the SDK", async () => {
  const story = (await room("module-globals", {}, { check: false })).join("ana");
  assert.equal(story.message("ana", "vandalise").reply, "done");
  assert.deepEqual(story.message("ana", "echo", { a: [1] }).reply, { a: [1] });
  assert.deepEqual(JSON.parse(story.saved.state), { state: {} });
});

// Restoring and swapping

test("a swap migrates the state, calls onRestore, and sends every view again", async () => {
  const story = (await room("counter-v1")).join("ana").message("ana", "add", 5);
  story.restore("swapped", await scriptOf("counter-v2"));
  assert.deepEqual(story.state, { total: 5, from: 1 });
  assert.deepEqual(tags(story), ["broadcast", "view"]);
  assert.equal(story.message("ana", "add").reply, 6);
});

test("a swap is refused: by migrate's throw, without migrate, to an older version", async () => {
  const story = await room("counter-v1");
  const refuses = await scriptOf("counter-refuses");
  assert.throws(() => story.restore("swapped", refuses), /Error: counts of version 1 cannot be trusted/);
  const noMigrate = await compiledClass("static stateVersion = 3;");
  assert.throws(() => story.restore("swapped", noMigrate), /the state is of version 1, this script's of 3: it needs static migrate/);
  const newer = await room("counter-v2");
  const older = await scriptOf("counter-v1");
  assert.throws(() => newer.restore("swapped", older), /the state is of version 2, newer than this script's static stateVersion = 1/);
});

test("a recovered room has no effects, and its onRestore may only log", async () => {
  const story = (await roomOf("state = { n: 0 }; onRestore(why) { this.log.info(why); this.state.n++; this.broadcast('x'); }")).join("ana");
  story.restore("recovered");
  assert.deepEqual(story.log.map(({ level }) => level), ["info", "warn"]);
  assert.match(story.log[1].text, /onRestore\("recovered"\) may only log/);
  assert.deepEqual([story.state, tags(story)], [{ n: 0 }, ["log", "log"]]);
});

test("an onRestore that throws does not end the room", async () => {
  const story = await roomOf("onRestore() { throw new Error('oh'); }");
  assert.match(story.restore("woken").log[0].text, /onRestore\("woken"\): Error: oh/);
});

test("throw-everywhere: each hook's throw is an error, and its change is not saved", async () => {
  const hooks = {
    onJoinAttempt: (story) => story.join("bo"), onJoin: (story) => story.join("bo"), onDrop: (story) => story.drop("ana"),
    onLeave: (story) => story.leave("ana"), onRoomMessage: (story) => story.roomMessage(roomNamed("x"), 1), onRoomEnd: (story) => story.ended(roomNamed("x")),
    onMoveFailed: (story) => story.moveFailed("ana", roomNamed("x")), onDispose: (story) => story.dispose(), message: (story) => story.message("ana", "message"),
    timer: (story) => story.message("ana", "timer", 5).wait(5),
  };
  for (const [hook, happen] of Object.entries(hooks)) {
    const story = (await room("throw-everywhere")).join("ana");
    story.message("ana", "arm", hook);
    assert.throws(() => happen(story), new RegExp(`Error: ${hook} throws on purpose`), hook);
  }
  await assert.rejects(room("throw-everywhere", { throwIn: "onCreate" }), /onCreate throws on purpose/);
});

test("the manifest lists versions, messages and timers", async () => {
  assert.deepEqual((await uncreatedRoom("static config = { maxPlayers: 3, budget: { timers: 2 } }; static stateVersion = 4; messages = { a() {}, b() {} }; timers = { t() {} };")).manifest, {
    stateVersion: 4, config: '{"maxPlayers":3,"budget":{"timers":2}}', timers: ["t"], messages: ["a", "b", "leave"],
  });
  assert.deepEqual((await uncreatedRoom("")).manifest, { stateVersion: 1, config: "{}", timers: [], messages: ["leave"] });
});

test("a kind's rooms may share an instance, 64 at most", async () => {
  const config = async (share) => (await uncreatedRoom(`static config = { share: ${share} };`)).manifest.config;
  assert.deepEqual([await config(1), await config(64)], ['{"share":1}', '{"share":64}']);
  for (const [share, wrong] of Object.entries({ 0: "must be a whole number, 1 or more", "'2'": "must be a whole number, 1 or more", "1.5": "must be a whole number, 1 or more", true: "must be a whole number, 1 or more", 65: "is 65; the most is 64" })) {
    await assert.rejects(config(share), new RegExp(`static config\\.share ${wrong}`), share);
  }
});

test("typescript: a guest in TypeScript is a guest", async () => {
  const story = (await room("typescript")).join("ana");
  assert.equal(story.message("ana", "vote", { colour: "blue" }).reply, "blue");
  assert.equal(story.message("ana", "vote", { colour: "red" }).refused, "you have voted");
});

test("several-files: modules are bundled, and their variables are no state", async () => {
  const story = (await room("several-files")).join("ana");
  assert.equal(story.message("ana", "times").reply, 0);
});

test("uses-packages: the bundler's definitions and `crypto` exist, and are the same in a replay", async () => {
  const story = (await room("uses-packages")).join("ana");
  story.message("ana", "add", "a").message("ana", "add", "b");
  assert.deepEqual(JSON.parse(story.saved.state).state, { list: ["a", "b"] });
  const [id, uuid, words] = story.message("ana", "id").reply;
  assert.match(id, /^[\w-]{21}$/);
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(words.length, 4);
  assert.notDeepEqual(story.message("ana", "id").reply, [id, uuid, words]);
});

test("crypto fills its argument, and nothing else", async () => {
  const story = (await roomOf("messages = { fill: () => { const all = new Uint8Array(8); crypto.getRandomValues(all.subarray(2, 6)); return [...all]; }, many: () => crypto.getRandomValues(new Uint8Array(65537)), none: () => crypto.getRandomValues([1]) };")).join("ana");
  const bytes = story.message("ana", "fill").reply;
  assert.deepEqual([bytes[0], bytes[1], bytes[6], bytes[7]], [0, 0, 0, 0]);
  assert.notDeepEqual(bytes.slice(2, 6), [0, 0, 0, 0]);
  assert.throws(() => story.message("ana", "many"), /65536 bytes at once at most/);
  assert.throws(() => story.message("ana", "none"), /takes an array of whole numbers/);
});

test("the log of a call that threw leaves with the error", async () => {
  const script = await compiledClass("messages = { oops: () => { console.log('one'); this.log.warn('two'); this.broadcast('no', 1); throw new Error('three'); } };");
  const guest = script.instance({ now: Date.now() });
  const now = Date.now();
  const chance = "0".repeat(64);
  guest.open(JSON.stringify({ id: "1".repeat(32), kind: "k", now, chance, members: [{ session: "2".repeat(32), player: "a", name: "a", connected: true, spectator: false }], locked: false }), 0, "");
  const { threw, log } = guest.handle({ now, chance }, "message", "2".repeat(32), "oops", "null");
  assert.match(threw, /^Error: three\n/);
  assert.deepEqual(log, [["log", 1, "one"], ["log", 2, "two"]]);
});

// Requests

const SEEKER = `
  state = { found: [] };
  answers = { tables: (found, data) => { this.state.found.push([found.error ?? found.rooms.length, data]); } };
  messages = {
    find: (_, data) => { this.rooms.find("table", { open: true }, "tables", data); },
    flood: (_, count) => { for (let i = 0; i < count; i++) this.rooms.find("table", {}, "tables"); },
    mean: () => { for (let i = 0; i < 16; i++) this.rooms.find("table", {}, "tables"); this.refuse("no"); },
    strange: () => { this.rooms.find("table", {}, "elsewhere"); },
  };
`;

test("the answer of a search reaches the handler with its data", async () => {
  const story = (await roomOf(SEEKER)).join("ana").message("ana", "find", 7);
  assert.deepEqual(story.effects[0], {
    tag: "request",
    val: { kind: "find", handler: "tables", afterMs: 10_000, payload: "7", data: '{"kind":"table","where":{"open":true}}' },
  });
  story.answer({ rooms: [{ id: "a" }] });
  assert.deepEqual(story.state.found, [[1, 7]]);
});

test("a failure is an answer", async () => {
  const story = (await roomOf(SEEKER)).join("ana").message("ana", "find", null);
  story.answer({ error: "no answer within 10000 ms" });
  assert.deepEqual(story.state.found, [["no answer within 10000 ms", null]]);
});

test("the seventeenth search throws, also after a restore, and an answer makes room for one more", async () => {
  const story = (await roomOf(SEEKER)).join("ana").message("ana", "flood", 16);
  const oneMore = () => story.message("ana", "flood", 1);
  assert.throws(oneMore, /16 requests are pending/);
  story.restore("recovered");
  assert.throws(oneMore, /16 requests are pending/);
  story.answer({ rooms: [] });
  oneMore();
  assert.equal(story.requests.length, 16);
});

test("a refusal takes its searches back", async () => {
  const story = (await roomOf(SEEKER)).join("ana");
  assert.equal(story.message("ana", "mean").refused, "no");
  story.message("ana", "flood", 16);
  assert.equal(story.requests.length, 16);
});

test("a search names a handler that the room has", async () => {
  const story = (await roomOf(SEEKER)).join("ana");
  assert.throws(() => story.message("ana", "strange"), /`answers` has no "elsewhere"; it has: tables/);
});

test("the manifest lists the handlers of answers in its config", async () => {
  const { manifest } = await roomOf(SEEKER);
  assert.deepEqual(JSON.parse(manifest.config), { answers: ["tables"] });
});
