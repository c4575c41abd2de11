// A call that exceeds a limit of the contract throws an error that names the argument. It never reaches the host, where it
// would be a fault that counts towards the room's end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { roomNamed, roomOf, session, uncreatedRoom } from "./story.mjs";

/** Runs one expression in a handler, and returns the name and message of the error that the script catches, or null. */
async function tried(expression, { fields = "", data } = {}) {
  const story = (await roomOf(`${fields}\nmessages = {
    caught: (player, data) => { try { ${expression}; } catch (error) { return [error.name, error.message]; } return null; },
    bare: (player, data) => { ${expression}; },
  };`)).join("ana");
  const caught = story.message("ana", "caught", data).reply;
  if (caught !== null) assert.throws(() => story.message("ana", "bare", data), /^Error: \w+Error: /);
  return caught;
}

const nested = (levels) => `JSON.parse("[".repeat(${levels}) + "]".repeat(${levels}))`;

for (const [expression, name, words] of [
  ["this.broadcast('', 1)", "TypeError", /^broadcast: the type has 1 to 64 bytes, this one 0$/],
  ["this.broadcast('ж'.repeat(33), 1)", "TypeError", /^broadcast: the type has 1 to 64 bytes, this one 66$/],
  ["player.send('😀'.repeat(17), 1)", "TypeError", /^player\.send: the type has 1 to 64 bytes, this one 68$/],
  ["this.broadcast(5)", "TypeError", /^broadcast: the type must be a string, not a number$/],
  ["this.rooms.create('No Kind')", "TypeError", /^rooms\.create: "No Kind" is not a kind/],
  ["this.rooms.create('')", "TypeError", /^rooms\.create: "" is not a kind/],
  ["this.rooms.create('a'.repeat(49))", "TypeError", /is not a kind; one has 1 to 48/],
  ["this.rooms.create('a\\n')", "TypeError", /is not a kind/],
  ["this.rooms.create('chess', 'x'.repeat(524287))", "TypeError", /^rooms\.create: the options has 524289 bytes as JSON; it may have 524288$/],
  ["this.rooms.send('lobby', 'ж'.repeat(262144))", "TypeError", /^rooms\.send: the data has 524290 bytes/],
  ["player.moveTo('lobby', 'x'.repeat(600000))", "TypeError", /^player\.moveTo: the options has 600002 bytes/],
  ["this.end('x'.repeat(600000))", "TypeError", /^end: the outcome has 600002 bytes/],
  ["this.schedule.after(-1, 't')", "TypeError", /^schedule\.after\(ms, name\): ms must be a number, 0 or more and .*, not -1$/],
  ["this.schedule.after(NaN, 't')", "TypeError", /not NaN$/],
  ["this.schedule.after(Infinity, 't')", "TypeError", /not Infinity$/],
  ["this.schedule.after(316224000001, 't')", "TypeError", /\(ten years\) at most, not 316224000001$/],
  ["this.schedule.after('1', 't')", "TypeError", /not "1"$/],
  ["this.schedule.after(1, 'toString')", "TypeError", /^schedule\.after: `timers` has no "toString"; it has: t$/],
  ["this.schedule.after(1, 'constructor')", "TypeError", /`timers` has no "constructor"/],
  ["this.schedule.after(1, '__proto__')", "TypeError", /`timers` has no "__proto__"/],
  ["this.schedule.cancel('hasOwnProperty')", "TypeError", /^schedule\.cancel: `timers` has no "hasOwnProperty"/],
  ["this.schedule.after(1, Symbol('t'))", "TypeError", /`timers` has no symbol/],
  [`this.broadcast('x', ${nested(128)})`, "TypeError", /^broadcast: the data of "x" nests too deeply: it may have 127 levels/],
  [`player.send('x', ${nested(500)})`, "TypeError", /^player\.send: the data of "x" nests too deeply/],
  [`this.setMetadata(${nested(128)})`, "TypeError", /^setMetadata: the data nests too deeply/],
  [`this.schedule.after(1, 't', ${nested(128)})`, "TypeError", /^schedule\.after: the payload nests too deeply/],
  [`structuredClone(${nested(128)})`, "TypeError", /^structuredClone: the value nests too deeply/],
  [`this.broadcast('x', { toJSON: () => ${nested(128)} })`, "TypeError", /nests too deeply/],
  ["const a = {}; a.b = [{ c: a }]; this.broadcast('x', a)", "TypeError", /is not plain JSON data: it contains itself$/],
  ["this.broadcast('x', 1, { except: 'ana' })", "TypeError", /^broadcast: except takes players, and sessions as 32 hexadecimal digits, not "ana"$/],
  ["this.broadcast('x', 1, { except: [player, player.name] })", "TypeError", /not "ana"$/],
  ["this.broadcast('x', 1, { except: [[player]] })", "TypeError", /not an object$/],
  ["this.broadcast('x', 1, { except: new Set([player]) })", "TypeError", /not an object$/],
  ["this.broadcast('x', 1, { exept: player })", "TypeError", /^broadcast: the options have no "exept"; there is: except$/],
  ["this.broadcast('x', 1, 'all')", "TypeError", /^broadcast: the options must be an object, \{ except \}, not a string$/],
  ["for (let i = 0; i < 1001; i++) this.broadcast('x')", "RangeError", /^broadcast: this call has requested 1000 effects/],
  ["for (let i = 0; i < 20; i++) this.broadcast('x', 'y'.repeat(60000))", "RangeError", /^broadcast: with these 6\d+ bytes the effects of this call exceed 1048576 bytes/],
  ["for (let i = 0; i < 17; i++) this.rooms.create('chess')", "RangeError", /^rooms\.create: this call has created 16 rooms/],
]) {
  test(`${expression} is a ${name} in the script's own call`, async () => {
    const [thrown, message] = await tried(expression, { fields: "timers = { t() {} };" });
    assert.equal(thrown, name);
    assert.match(message, words);
  });
}

for (const expression of [
  "this.broadcast('ж'.repeat(32), 1)", "this.broadcast('toString')", "player.send('__proto__', 1)",
  "this.rooms.create('a'.repeat(48))", "this.rooms.create('chess', 'x'.repeat(524286))", "this.rooms.send('lobby', 'ж'.repeat(262143))",
  "this.schedule.after(316224000000, 't')", "this.schedule.after(0.5, 't')", "for (let i = 0; i < 65; i++) this.schedule.after(i, 't')",
  `this.broadcast('x', ${nested(127)})`, "this.broadcast('x', 1, { except: [] })", "this.broadcast('x', 1, { except: null })", "this.broadcast('x', 1, {})",
  "for (let i = 0; i < 1000; i++) this.broadcast('x')", "for (let i = 0; i < 16; i++) this.rooms.create('chess')",
  "for (let i = 0; i < 17; i++) this.broadcast('x', 'y'.repeat(60000))", "const one = {}; this.broadcast('x', [one, one, one])",
]) {
  test(`${expression} is accepted`, async () => {
    assert.equal(await tried(expression, { fields: "timers = { t() {} };" }), null);
  });
}

test("a timer's name may be that of a property of every object", async () => {
  const story = (await roomOf("state = []; timers = { toString: () => { this.state.push('a'); }, constructor: () => { this.state.push('b'); }, ['__proto__']: () => { this.state.push('c'); } }; messages = { set: () => { for (const name of ['toString', 'constructor', '__proto__']) this.schedule.after(1, name); } };")).join("ana");
  assert.deepEqual(story.message("ana", "set").wait(1).state, ["a", "b", "c"]);
});

test("a message's type may be that of a property of every object, and only declared handlers are called", async () => {
  const story = (await roomOf("messages = { toString: () => 1, ['__proto__']: () => 2 };")).join("ana");
  assert.deepEqual(story.manifest.messages, ["toString", "__proto__", "leave"]);
  assert.equal(story.message("ana", "toString").reply, 1);
  assert.equal(story.message("ana", "__proto__").reply, 2);
  assert.throws(() => story.message("ana", "constructor"), /no handler for messages of type "constructor"/);
});

const SEVERAL = `static config = { budget: { timers: 3 } };
  timers = { a() {}, b() {}, c() {}, d() {} };
  messages = {
    set: (_player, names) => { for (const name of names) this.schedule.after(10, name); },
    cancel: (_player, names) => { for (const name of names) this.schedule.cancel(name); },
    refused: (_player, names) => { this.schedule.cancel("a"); for (const name of names) this.schedule.after(10, name); this.refuse("no"); },
    tried: (_player, name) => { try { this.schedule.after(10, name, 1n); } catch {} },
  };`;

test("timers are counted by name, over calls, restores, refusals and fired timers", async () => {
  const story = (await roomOf(SEVERAL)).join("ana");
  const full = () => assert.throws(() => story.message("ana", "set", ["d"]), /RangeError: schedule\.after: 3 timers are pending/);
  story.message("ana", "set", ["a", "b", "a", "b", "c", "c"]);
  full();
  story.restore("woken");
  full();
  story.message("ana", "refused", ["b"]);
  full();
  story.message("ana", "cancel", ["b"]).message("ana", "set", ["d"]);
  assert.throws(() => story.message("ana", "set", ["b"]), /3 timers are pending/);
  story.wait(10).message("ana", "tried", "a").message("ana", "set", ["a", "b", "c"]);
  full();
});

test("a log that is too long is cut by the SDK, and does not count as an effect", async () => {
  const story = (await roomOf("messages = { lines: () => { for (let i = 0; i < 20000; i++) this.log.info('x'); this.broadcast('after'); }, wide: () => this.log.info('ж'.repeat(20000)), deep: () => { let deep = []; for (let i = 0; i < 5000; i++) deep = [deep]; this.log.info(deep); } };")).join("ana");
  story.message("ana", "lines");
  const length = story.log.reduce((sum, { text }) => sum + text.length + 1, 0);
  assert.ok(length > 16_300 && length <= 16_384, `${length}`);
  const kept = story.log.length - 1;
  assert.equal(story.log.at(-1).text, `(${2 * (20_000 - kept)} more bytes of log were cut)`);
  assert.deepEqual(story.received("ana").map(({ type }) => type), ["after"]);
  story.log.length = 0;
  story.message("ana", "wide");
  assert.equal(20_000 - story.log[0].text.length, Number(/\d+/.exec(story.log[1].text)[0]));
  assert.equal(story.message("ana", "deep").log.at(-1).text, "(an object that nests too deeply)");
});

test("a state that could not be saved is an error of the call that made it, and the room continues", async () => {
  const story = (await roomOf("static config = { budget: { stateKiB: 4, outputKiB: 8000 } }; messages = { text: (_player, n) => { this.state.text = 'ж'.repeat(n); }, mine: (player, n) => { player.data.text = 'x'.repeat(n); } }; view() { return null; }")).join("ana").join("bo");
  const large = /RangeError: this\.state and the players' data have \d+ characters as JSON; a room may have 4096/;
  assert.throws(() => story.message("ana", "text", 4090), large);
  const fresh = (await roomOf("static config = { budget: { stateKiB: 4 } }; messages = { text: (_player, n) => { this.state.text = 'x'.repeat(n); }, mine: (player, n) => { player.data.text = 'x'.repeat(n); } }; view() { return null; }")).join("ana").join("bo");
  fresh.message("ana", "text", 1500).message("ana", "mine", 1000).message("bo", "mine", 1000);
  assert.ok(fresh.saved.state.length < 4096);
  fresh.leave("bo").message("ana", "mine", 2000).message("ana", "mine", 10);
  fresh.message("ana", "text", 3900);
  assert.throws(() => fresh.message("ana", "mine", 300), large);
});

test("views for more players than there may be effects are an error that names the limit", async () => {
  const story = await roomOf("static config = { budget: { effectsPerRecord: 3 } }; state = { n: 0 }; messages = { add: () => { this.state.n++; } }; view({ n }, player) { return n; }");
  for (const name of ["a", "b", "c"]) story.join(name);
  assert.equal(story.message("a", "add").viewOf("b"), 1);
  story.join("d");
  assert.throws(() => story.message("a", "add"), /RangeError: the view of each player: this call has requested 3 effects/);
});

test("an error's message is cut before it is too long for the host", async () => {
  const story = (await roomOf("messages = { throw: () => { throw new Error('😀'.repeat(3000000)); } };")).join("ana");
  assert.throws(() => story.message("ana", "throw"), ({ message }) => message.length < 4_000 && message.isWellFormed());
});

for (const [body, words] of [
  ["messages = { ['ж'.repeat(33)]() {} };", /messages: a name has 1 to 64 bytes, "ж+" has 66/],
  ["timers = { ['a\\udc00b']() {} };", /timers: "a\\udc00b" has characters that a name cannot have/],
  ["messages = { ['\\ud83d']() {} };", /has characters that a name cannot have/],
  ["messages = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`m${i}`, () => 1]));", /messages has 257 names; at most 256/],
  ["static config = { maxPlayers: 20001 };", /static config\.maxPlayers is 20001; the most is 20000/],
  ["static config = { budget: { memoryMiB: 257 } };", /static config\.budget\.memoryMiB is 257; the most is 256/],
  ["static config = { constructor: 1 };", /static config has no key "constructor"/],
  ["static config = { budget: { toString: 1 } };", /static config\.budget has no key "toString"/],
  ["static config = { emptySeconds: 604801 };", /emptySeconds is 604801; the most is 604800/],
  ["static config = { budget: { stateKiB: 1 } }; state = { text: 'x'.repeat(2000) };", /this\.state and the players' data have \d+ characters/],
]) {
  test(`${body.slice(0, 60)} is refused when the guest is built`, async () => {
    await assert.rejects(uncreatedRoom(body), words);
  });
}

test("looking up members and rooms by free text finds none", async () => {
  const story = (await roomOf("messages = { look: (_player, text) => [this.players.get(text) ?? null, this.players.has(text), this.players.of(text).length] };")).join("ana");
  for (const text of ["constructor", "__proto__", "toString"]) assert.deepEqual(story.message("ana", "look", text).reply, [null, false, 0]);
  assert.deepEqual(story.message("ana", "look", session("nobody")).reply, [null, false, 0]);
  assert.ok(roomNamed("x"));
});
