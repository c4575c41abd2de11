// The limit on the work of a call: what counts, that nothing escapes it, and that a replay counts the same.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LIMIT as MOST, event } from "../../guests/build/contract.mjs";
import { IMPORTS } from "../../guests/build/engine.mjs";
import { ANA, Room, built, roomOf } from "./room.mjs";

const LIMIT = 10_000;

const LOOPS = {
  "an empty loop": "for (;;);",
  "a loop that catches": "for (;;) { try { for (;;); } catch { this.state.caught = true; } }",
  "a loop in finally": "try { for (;;); } finally { this.state.caught = true; for (;;); }",
  "a return in finally": "for (;;) { try { for (;;); } finally { this.state.caught = true; continue; } }",
  "an iterator that is closed": "for (;;) { try { Array.from({ [Symbol.iterator]: () => ({ next: () => { for (;;); }, return: () => { this.state.caught = true; return {}; } }) }); } catch {} }",
  "a generator": "const g = (function* () { try { for (;;) yield; } finally { for (;;); } })(); for (const _ of g);",
  "a generator that goes on": "const g = (function* () { for (;;) { try { for (;;); } catch { yield; } } })(); for (;;) { try { g.next(); } catch {} }",
  "a comparison": "[3, 1, 2].sort(() => { for (;;); });",
  "a getter": "JSON.stringify({ get a() { for (;;); } });",
  "a toString": "`${{ toString() { for (;;); } }}`;",
  "a proxy": "const p = new Proxy({}, { getPrototypeOf() { for (;;); } }); p instanceof Object;",
  "a prototype chain without end": "const p = new Proxy({}, { getPrototypeOf: () => p }); p instanceof Map;",
  "an array-like without end": "Array.prototype.indexOf.call({ length: 2 ** 53 }, 1);",
  "a stack trace": "Error.prepareStackTrace = () => { for (;;); }; for (;;) { try { null.x; } catch {} }",
  "a promise's executor": "new Promise(() => { for (;;); });",
  "a thenable": "return { get then() { for (;;); } };",
  "an async function": "(async () => { try { for (;;); } catch { this.state.caught = true; } })();",
  "an async generator": "const g = (async function* () { try { for (;;); } finally { this.state.caught = true; } }).call(this); g.next();",
  "a regular expression": "/^(a+)+$/.test('a'.repeat(64) + '!');",
  "a loop of regular expressions": "for (;;) /a*b/.test('aaaaaaaaaaaaaaaa');",
  "a replacement": "'aaaa'.replace(/a/g, () => { for (;;); });",
  "a reviver": "JSON.parse('[1]', () => { for (;;); });",
  "a refusal that goes on": "try { this.refuse('no'); } catch { for (;;); }",
};

for (const [name, body] of Object.entries(LOOPS)) {
  test(`nothing escapes the limit: ${name}`, async () => {
    const room = await roomOf(`state = { caught: false }; messages = { go() { this.log.info("begun"); ${body} } };`);
    room.limit = LIMIT;
    assert.equal(room.handle("message", ANA, "go", "null"), "?\x1elog\x1finfo\x1fbegun");
    assert.equal(room.used, LIMIT);
    assert.deepEqual(room.state, { caught: false });
  });
}

test("each loop, jump and call is a poll, and each step of a regular expression", async () => {
  const room = await roomOf("messages = { loop: (_player, n) => { for (let i = 0; i < n; i++); }, call: (_player, n) => { const f = () => 1; for (let i = 0; i < n; i++) f(); }, regexp: (_player, n) => /(a|b)*c/.test('a'.repeat(n)) };");
  const cost = (type, n) => { room.handle("message", ANA, type, `${n}`); return room.used; };
  for (const [type, least] of [["loop", 1], ["call", 2], ["regexp", 2]]) {
    const each = (cost(type, 200) - cost(type, 100)) / 100;
    assert.ok(each >= least && Number.isInteger(each), `${type}: ${each}`);
  }
});

test("a call begins with nothing spent", async () => {
  const room = await roomOf("messages = { work: (_player, n) => { for (let i = 0; i < n; i++); } };");
  const spent = [];
  for (let round = 0; round < 50; round++) {
    room.handle("message", ANA, "work", "100");
    spent.push(room.used);
  }
  assert.deepEqual(new Set(spent).size, 1);
  room.limit = spent[0] + 1;
  for (let round = 0; round < 50; round++) assert.equal(room.ask("work", 100), null);
  room.limit = spent[0];
  assert.equal(room.handle("message", ANA, "work", "100"), "?");
});

test("a restored room spends the same", async () => {
  const body = `state = { list: [3, 1, 2], words: {} };
    view(state, player) { return { list: state.list.map((n) => n + 1), me: player.name }; }
    messages = {
      add: (player, n) => { this.state.list.push(n); this.state.list.sort((a, b) => a - b); this.state.words["w" + n] = /^(\\d+)$/.exec(String(n))?.[1]; player.data.last = n; return this.state.list.filter((m) => m > n); },
      drop: () => { this.state.list = this.state.list.slice(0, 2); for (const word in this.state.words) delete this.state.words[word]; },
    };`;
  const live = new Room((await built(body)).memory);
  let restored = live.restored();
  for (let round = 0; round < 60; round++) {
    const [type, data] = round % 7 === 6 ? ["drop", "null"] : ["add", `${round * 37 % 11}`];
    const answers = [live, restored].map((room) => [room.handleAt(100 + round, "message", ANA, type, data), room.used]);
    assert.deepEqual(answers[0], answers[1], `round ${round}`);
    if (round % 5 === 0) restored = live.restored();
  }
});

test("the limit holds for `open`", async () => {
  const { memory } = await built("static stateVersion = 2; state = {}; static migrate() { for (;;); }");
  const room = new Room(memory, JSON.stringify({ state: {} }));
  assert.equal(room.opened, "?");
});

/** How many safepoints there are in what `work` does. */
function safepointsIn(work) {
  const meter = IMPORTS["chorus:room/meter@3.0.0"], { safepoint } = meter;
  let count = 0;
  meter.safepoint = () => { count += 1; };
  try { work(); } finally { meter.safepoint = safepoint; }
  return count;
}

test("a loop has a safepoint each 4,096 polls", async () => {
  const { memory } = await built("messages = { loop: (_player, n) => { for (let i = 0; i < n; i++); } };");
  const safepoints = (n) => safepointsIn(() => new Room(memory).handle("message", ANA, "loop", `${n}`)) - none;
  let none = 0;
  none = safepoints(0);
  assert.deepEqual([1_000, 41_000, 82_000].map(safepoints), [0, 20, 40]);
});

const WORK = {
  "a text is parsed": ["JSON.parse(TEXT);", 50],
  "values are printed": ["JSON.stringify(LIST);", 50],
  "a reply is printed": ["return LIST;", 50],
  "a list is sorted": ["[...WORDS].sort();", 50],
  "a text is split": ["TEXT.split(',');", 50],
  "a text is repeated": ["'x'.repeat(10_000_000);", 1],
  "a list is copied": ["for (let i = 0; i < 100; i++) LIST.slice();", 50],
};

for (const [name, [body, least]] of Object.entries(WORK)) {
  test(`a safepoint is where ${name}`, async () => {
    const top = "const LIST = Array.from({ length: 100_000 }, (_, i) => i), WORDS = LIST.map(String), TEXT = JSON.stringify(WORDS);";
    const { memory } = await built(`messages = { go: () => { ${body} } };`, top);
    let room;
    const safepoints = safepointsIn(() => {
      room = new Room(memory);
      room.handle("message", ANA, "go", "null");
    });
    assert.ok(room.used < 4_096, `${room.used} polls`);
    assert.ok(safepoints >= least, `${safepoints} safepoints`);
  });
}

test("a safepoint is between two entries, which count their polls anew", async () => {
  const { memory } = await built("messages = { loop: () => { for (let i = 0; i < 1000; i++); } };");
  const loop = event({ now: 1_800_000_000_000, chance: "0".repeat(64), limit: MOST }, "message", ANA, "loop", "null");
  const safepoints = (input) => safepointsIn(() => new Room(memory).guest.call(input));
  assert.equal(safepoints(Buffer.concat([loop, loop, loop])) - safepoints(loop), 2);
});

test("no safepoint is where the host allocates the input", async () => {
  const { memory } = await built("messages = {};");
  let room;
  safepointsIn(() => { room = new Room(memory); });
  assert.equal(safepointsIn(() => room.guest.exports.cabi_realloc(0, 0, 1, 50_000_000)), 0);
});

test("an array-like of any length is limited", async () => {
  const room = await roomOf("messages = { reverse: () => Array.prototype.reverse.call({ length: 2 ** 53 - 1 }), slice: () => Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1), includes: () => Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1) };");
  room.limit = LIMIT;
  for (const type of ["reverse", "slice", "includes"]) assert.equal(room.handle("message", ANA, type, "null"), "?", type);
});
