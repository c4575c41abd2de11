// The limit on the work of a call: what counts, that nothing escapes it, and that a replay counts the same.

import assert from "node:assert/strict";
import { test } from "node:test";

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
