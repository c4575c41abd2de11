// Hash tables: a room's own have a key of its own, and no result depends on the key.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Dice } from "./dice.mjs";
import { Room, built, roomOf } from "./room.mjs";

const SEEDS = ["0".repeat(32), "0123456789abcdef0123456789abcdef", "f".repeat(32)];

/** The guest's results, which are the same for every seed, and after a restore. */
async function sameForAll(body, top, calls) {
  const { memory } = await built(body, top);
  const [first, ...others] = SEEDS.map((seed) => {
    const room = new Room(memory, undefined, seed);
    const results = calls.map(([type, data]) => room.ask(type, data));
    return JSON.stringify([results, room.state, room.restored().ask(...calls.at(-1))]);
  });
  for (const other of others) assert.equal(other, first);
  return JSON.parse(first)[0];
}

test("objects, Maps and Sets are in the order of insertion with every seed", async () => {
  const dice = new Dice(1);
  const names = Array.from({ length: 2_000 }, () => dice.key());
  const numbers = Array.from({ length: 2_000 }, () => dice.double());
  const body = `
    state = { bag: {} };
    messages = {
      keep: (_player, names) => { for (const [i, name] of names.entries()) this.state.bag[\`\${name}.\`] = i; return Object.keys(this.state.bag); },
      set: (_player, keys) => [...new Set(keys)],
      map: (_player, keys) => { const map = new Map(); for (const key of keys) map.set(key, (map.get(key) ?? 0) + 1); for (const key of keys.slice(0, 100)) map.delete(key); return [...map]; },
      group: (_player, names) => Object.entries(Object.groupBy(names, (name) => name.slice(0, 2))).map(([name, all]) => [name, all.length]),
      revive: (_player, names) => JSON.parse(JSON.stringify(Object.fromEntries(names.map((name) => [name, 1]))), (_key, value) => value),
      symbols: (_player, names) => names.map((name) => Symbol.for(name)).every((symbol, i) => symbol === Symbol.for(names[i]) && Symbol.keyFor(symbol) === names[i]),
    };`;
  const [kept, all, , , , symbols] = await sameForAll(body, "", [["keep", names], ["set", [...names, ...numbers]], ["map", [...names, ...numbers]], ["group", names], ["revive", names], ["symbols", names]]);
  assert.deepEqual(kept, [...new Set(names.map((name) => `${name}.`))]);
  assert.deepEqual(all, [...new Set([...names, ...numbers])]);
  assert.equal(symbols, true);
});

test("what the build has hashed is found in every room, before and after a call has written to it", async () => {
  const top = `
    const KEYS = ["a", "é", "wörd", "\\u4e00", "😀", 1, 2.5, -0, NaN, true, null, undefined, 10n, 2n ** 80n, Symbol.iterator];
    const map = new Map(KEYS.map((key, i) => [key, i])), set = new Set(KEYS), weak = new WeakMap();
    const inner = {}; weak.set(inner, 1);
    const object = { 1: "one", 70000: "many", name: "n", ["\\u4e00"]: 1 };
    class Point { constructor(x) { this.x = x; this[5] = x; } }
    const point = new Point(1);`;
  const body = `messages = {
    find: () => [KEYS.every((key, i) => map.get(key) === i && set.has(key)), weak.get(inner), object[1], object[70000], object.name, point[5], new Point(2)[5], Object.keys(object)],
    write: (_player, names) => { for (const name of names) { map.set(name, 1); set.add(name); object[name] = 1; } map.delete("a"); return [map.size, set.size, KEYS.every((key) => key === "a" || map.has(key)), Object.keys(object).length]; },
  };`;
  const names = Array.from({ length: 500 }, (_, i) => `${i * 3}`);
  const [before, written, after] = await sameForAll(body, top, [["find"], ["write", names], ["find"]]);
  assert.deepEqual(before, [true, 1, "one", "many", "n", 1, 2, ["1", "70000", "name", "\u4e00"]]);
  assert.deepEqual(written, [514, 515, true, 504]);
  assert.deepEqual(after, before);
});

test("a text has one hash, in whichever form QuickJS has it", async () => {
  const room = await roomOf(`messages = { same: (_player, text) => {
    const wide = (text + "\\u4e00").slice(0, -1), rope = text.slice(0, 3) + text.slice(3), long = text.repeat(6000), joined = text.repeat(3000) + text.repeat(3000);
    const set = new Set([...Array(1000).keys(), text, long]), object = { [text]: 1, [long]: 2 };
    return [wide, rope, joined].map((one) => [set.has(one), one in object]);
  } };`);
  for (const text of ["abcdef", "éàü", "12345678", "123456789", "x\u4e00y", "😀😀"]) assert.deepEqual(room.ask("same", text), Array(3).fill([true, true]), text);
});

test("no script gets the seed", async () => {
  const room = await roomOf("messages = { look: () => JSON.stringify([Object.getOwnPropertyNames(this), this.id, Object.getOwnPropertyNames(globalThis)]) };");
  assert.ok(!room.ask("look").includes("hashSeed"));
});

test("a text that the build has computed is a key in any number of calls", async () => {
  const body = "messages = { put: (_player, value) => { const o = {}; for (const key of [...KEYS, ...KEYS]) o[key] = value; Symbol.for(KEYS[0]); return Object.entries(o); } };";
  const top = "const KEYS = ['k'.repeat(33), 'ж'.repeat(33), 'cut \\ud83d'];";
  const wanted = ["k".repeat(33), "ж".repeat(33), "cut \ud83d"].map((key) => [key, 1]);
  const [first, second] = await sameForAll(body, top, [["put", 1], ["put", 1]]);
  assert.deepEqual([first, second], [wanted, wanted]);
});
