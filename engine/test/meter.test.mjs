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
  const room = await roomOf("messages = { loop: (_player, n) => { for (let i = 0; i < n; i++); }, call: (_player, n) => { const f = () => 1; for (let i = 0; i < n; i++) f(); }, regexp: (_player, n) => /(a|b)*c/.test(TEXT.slice(0, n)) };", "const TEXT = 'a'.repeat(200);");
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
    assert.ok(safepoints >= least, `${safepoints} safepoints`);
  });
}

const BIG = "const BIG = (1n << 500_000n) - 1n, HALF = BIG >> 250_000n, A = 'a'.repeat(200_000), NO = 'a'.repeat(10_000) + 'b';";

/** Natively long, and quadratic or in proportion to what is passed; without a limit most of them take seconds. */
const NATIVE = {
  "BigInts are multiplied": "BIG * BIG;",
  "BigInts are divided": "BIG / HALF;",
  "a BigInt is raised to a power": "HALF ** 3n;",
  "a BigInt is printed": "BIG.toString();",
  "a BigInt is parsed": "BigInt('9'.repeat(100_000));",
  "a text is searched": "A.indexOf(NO);",
  "a text is searched from its end": "A.lastIndexOf('a'.repeat(5_000) + 'b' + 'a'.repeat(5_000));",
  "a text is searched for a part": "A.includes(NO);",
  "a text is split": "A.split(NO);",
  "a text is replaced": "A.replaceAll(NO, '');",
  "marks are sorted": "'\\u0300\\u0316'.repeat(10_000).normalize('NFD');",
  "texts are compared by a locale": "A.localeCompare('a' + '\\u0300\\u0316'.repeat(10_000));",
  "a text becomes upper case": "A.toUpperCase();",
  "a text is repeated": "'ab'.repeat(1_000_000);",
  "a list of long texts is sorted": "Array.from({ length: 100 }, (_, i) => A + i).sort();",
  "numbers are sorted": "new Float64Array(100_000).sort();",
  "a list is joined": "new Array(100_000).join();",
  "a template of any length": "String.raw({ raw: { length: 2 ** 53 - 1, 0: '' } });",
  "one empty list, many times, is flattened": "let list = []; for (let i = 0; i < 30; i++) list = [list, list]; list.flat(Infinity);",
  "JSON is parsed": "JSON.parse(`[${'1,'.repeat(100_000)}1]`);",
  "JSON is printed": "JSON.stringify(new Array(100_000).fill(1));",
  "names for JSON are collected": "JSON.stringify({}, Array.from({ length: 3_000 }, (_, i) => `k${i}`));",
  "a regular expression is compiled": "new RegExp(`[${'ab'.repeat(3_000)}]`);",
};

for (const [name, body] of Object.entries(NATIVE)) {
  test(`the limit ends native work, at the same poll in each instance: ${name}`, async () => {
    const { memory } = await built(`messages = { go() { ${body} return "done"; } };`, BIG);
    const [one, other] = [new Room(memory), new Room(memory)];
    for (const room of [one, other]) {
      room.limit = LIMIT;
      assert.equal(room.handle("message", ANA, "go", "null"), "?");
      assert.equal(room.used, LIMIT);
    }
  });
}

test("native work takes the same polls in a restored room", async () => {
  const room = await roomOf(`state = { text: "", big: "1" };
    messages = { go: () => {
      this.state.text = this.state.text + "ab" + this.state.text;
      this.state.big = String(BigInt(this.state.big) * 12345678901234567890n ** 9n);
      return [this.state.text.indexOf("b" + "a"), this.state.text.split("ba").sort().join("").length, JSON.parse(JSON.stringify(this.state)).big, this.state.text.toUpperCase().normalize().length];
    } };`);
  let restored = room.restored();
  for (let round = 0; round < 12; round++) {
    const answers = [room, restored].map((each) => [each.handleAt(100 + round, "message", ANA, "go", "null"), each.used]);
    assert.deepEqual(answers[0], answers[1], `round ${round}`);
    restored = room.restored();
  }
});

test("short values take no polls for their work", async () => {
  const bodies = { none: "text;", search: "text.indexOf('b');", upper: "text.slice(0, 7).toUpperCase();", product: "12345678901234567890n * 12345678901234567890n;" };
  const messages = Object.entries(bodies).map(([name, body]) => `${name}: () => { const text = "abcdefgh"; ${body} }`).join(", ");
  const room = await roomOf(`messages = { ${messages} };`);
  const used = (type) => { room.handle("message", ANA, type, "null"); return room.used; };
  const none = used("none");
  /* The calls themselves are polls. */
  assert.deepEqual([used("search"), used("upper"), used("product")].map((polls) => polls - none), [1, 2, 0]);
});

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
