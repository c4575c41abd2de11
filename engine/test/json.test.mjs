// Printing and parsing against Node's own JSON, by fuzzing: numbers, text, depth, keys.

import assert from "node:assert/strict";
import { test } from "node:test";

import { roomOf } from "./room.mjs";
import { Dice } from "./dice.mjs";

const ROUNDS = Number(process.env.CHORUS_TEST_ROUNDS ?? 300);

/** What a message's data becomes when it is parsed, kept in the state, printed and parsed again. */
const MESSAGES = "state = { kept: null }; messages = { echo: (_player, data) => data, keep: (_player, data) => { this.state.kept = data; }, kept: () => this.state.kept, again: () => JSON.stringify(this.state.kept), built: (_player, text) => JSON.parse(text) };";

test("any document is echoed, kept and printed as Node prints it", async () => {
  const room = await roomOf(MESSAGES);
  const dice = new Dice(1);
  for (let i = 0; i < ROUNDS; i++) {
    const text = dice.json(4);
    const wanted = JSON.stringify(JSON.parse(text));
    const echoed = room.handle("message", "0".repeat(31) + "1", "echo", text);
    assert.equal(echoed, `reply\x1f${wanted}`);
    assert.deepEqual(room.ask("keep", JSON.parse(text)), null);
    assert.equal(JSON.stringify(room.ask("kept")), wanted);
    assert.equal(room.ask("again"), wanted);
    assert.equal(room.saved, `{"state":{"kept":${wanted}}}`);
  }
});

test("any double is printed as Node prints it", async () => {
  const room = await roomOf(MESSAGES);
  const dice = new Dice(2);
  for (let i = 0; i < ROUNDS; i++) {
    const numbers = Array.from({ length: 50 }, () => dice.double());
    assert.equal(room.handle("message", "0".repeat(31) + "1", "echo", JSON.stringify(numbers)), `reply\x1f${JSON.stringify(numbers)}`);
  }
});

test("text of any characters", async () => {
  const room = await roomOf("messages = { text: (_player, units) => String.fromCharCode(...units) };");
  const dice = new Dice(3);
  for (let i = 0; i < ROUNDS; i++) {
    const units = Array.from({ length: dice.int(40) }, () => dice.unit());
    const wanted = JSON.stringify(String.fromCharCode(...units));
    assert.equal(room.handle("message", "0".repeat(31) + "1", "text", JSON.stringify(units)), `reply\x1f${wanted}`);
  }
});

test("slices and ropes of strings", async () => {
  const room = await roomOf("messages = { slice: (_player, [text, from, to]) => { let rope = ''; for (let i = 0; i < 40; i++) rope += text.slice(from, to) + text[i % text.length]; return [text.slice(from, to), text.substring(from), rope]; } };");
  const dice = new Dice(4);
  for (let i = 0; i < ROUNDS; i++) {
    const text = dice.text(200) + "x", from = dice.int(text.length), to = from + dice.int(text.length);
    let rope = "";
    for (let n = 0; n < 40; n++) rope += text.slice(from, to) + text[n % text.length];
    assert.deepEqual(room.ask("slice", [text, from, to]), [text.slice(from, to), text.substring(from), rope].map((one) => JSON.parse(JSON.stringify(one).replace(/\\ud[89a-f][0-9a-f]{2}/gi, (half) => half))));
  }
});

/** Values that are odd in JSON, each as Node prints it. */
const ODD = [
  "[, 1, , 2, ,]", "new Array(5)", "[undefined, null]", "({ u: undefined, a: 1 })",
  "({ b: 1, 10: 2, 2: 3, '01': 4, '-1': 5, 4294967294: 6, 4294967295: 7 })",
  "Object.create(null)", "({ ['__proto__']: 1 })", "JSON.parse('{\"__proto__\":{\"x\":1}}')", "[-0, 0, 1e21, 1e-7, 123456789012345680000]",
  "({ get x() { return 7; } })", "new Date(0)", "({ toJSON: () => ({ from: 'toJSON' }) })",
  "(() => { const a = [1, 2, 3]; a.length = 1; return a; })()",
  "(() => { const a = [1]; a[5] = 2; return a; })()", "(() => { const o = { a: 1, b: 2, c: 3 }; delete o.b; return o; })()", "Object.freeze({ a: [1] })", "new Proxy({ a: 1 }, {})", "new Proxy([1, 2], {})",
  "Object.freeze([1, Object.freeze({ a: 1 })])", "Object.seal({ a: [1] })", "'\\ud83d\\ude00 \\ud83d \\u2028 \\u0000 \\\" \\\\ \\x7f é'", "null", "undefined", "true", "1.5", "'x'.repeat(3000)", "({})", "[]", "[[[]]]", "({ a: { b: {} } })",
  "Object.fromEntries(Array.from({ length: 100 }, (_, i) => [i * 7 % 101, i]))", "Object.fromEntries(Array.from({ length: 100 }, (_, i) => ['k' + i, i]))", "[1, 2, 3].map(String)", "(() => { let deep = 1; for (let i = 0; i < 120; i++) deep = [deep]; return deep; })()",
];

test("odd values are printed as Node prints them, and the state is what a restored room has", async () => {
  const handlers = ODD.map((expression, i) => `reply${i}: () => (${expression}), keep${i}: () => { this.state.v = (${expression}); }`);
  const room = await roomOf(`state = {}; messages = { ${handlers.join(", ")}, look: () => [this.state, typeof this.state.v, Array.isArray(this.state.v) && 0 in this.state.v, this.state.v?.constructor?.name ?? null] };`);
  for (const [i, expression] of ODD.entries()) {
    const value = (0, eval)(expression);
    const wanted = value === undefined ? "null" : JSON.stringify(value);
    assert.equal(room.handle("message", "0".repeat(31) + "1", `reply${i}`, "null"), `reply\x1f${wanted}`, expression);
    room.ask(`keep${i}`);
    const state = JSON.stringify({ v: value });
    assert.equal(room.saved, `{"state":${state}}`, expression);
    assert.deepEqual(room.ask("look"), room.restored().ask("look"), expression);
    assert.equal(room.saved, `{"state":${state}}`, expression);
  }
});

for (const [expression, words] of [
  ["(() => { const o = {}; o.o = o; return o; })()", /TypeError: the reply to "go" is not plain JSON data: it contains itself/],
  ["1n", /TypeError: the reply to "go" is not plain JSON data/],
  ["() => 1", /TypeError: the reply to "go" is a function; it must be plain JSON data/],
  ["Symbol('x')", /TypeError: the reply to "go" is a symbol; it must be plain JSON data/],
  ["({ toJSON() { throw new Error('mine'); } })", /TypeError: the reply to "go" is not plain JSON data: mine/],
  ["(() => { let deep = 1; for (let i = 0; i < 128; i++) deep = [deep]; return deep; })()", /TypeError: the reply to "go" nests too deeply/],
  ["(() => { let deep = 1; for (let i = 0; i < 20000; i++) deep = { deep }; return deep; })()", /nests too deeply|Maximum call stack/],
]) {
  test(`${expression} throws`, async () => {
    const room = await roomOf(`messages = { go: () => (${expression}), fine: () => 1 };`);
    assert.throws(() => room.ask("go"), words);
  });
}

test("data that is no JSON throws", async () => {
  const room = await roomOf(MESSAGES);
  for (const text of ["", "{", "[1,]", "{\"a\":}", "nul", "01", "1 2", "\"\u0001\"", "'x'", "NaN"]) {
    assert.match(room.handle("message", "0".repeat(31) + "1", "echo", text), /^!SyntaxError: /, text);
  }
});

test("a text that nests too deeply throws, also with a reviver", async () => {
  const room = await roomOf("messages = { go: (_player, depth) => { try { JSON.parse('['.repeat(depth) + ']'.repeat(depth)); return 'parsed'; } catch (error) { return `${error}`; } }, revive: (_player, depth) => JSON.parse('{\"a\":'.repeat(depth) + '1' + '}'.repeat(depth), (_key, value) => value) };");
  assert.equal(room.ask("go", 4_000), "parsed");
  for (const depth of [4_097, 100_000]) assert.match(room.ask("go", depth), /^RangeError: JSON.parse: the text nests more than 4096 deep/);
  assert.throws(() => room.ask("revive", 100_000), /RangeError: JSON.parse/);
  assert.equal(room.ask("go", 1), "parsed");
});
