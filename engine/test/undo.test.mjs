// What a call writes to module state is seen by that call, and put back at its end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ANA, roomOf } from "./room.mjs";

/** Module state, and an expression that changes it and gives what has come of it: the same in every call. */
const WRITES = {
  "a variable": ["let n = 1;", "(n += 1, n++, n)"],
  "a variable of another function's closure": ["const next = (() => { let n = 0; return () => ++n; })();", "(next(), next())"],
  "a variable that becomes an object": ["let held = null;", "(held ??= { made: 0 }, held.made++, held)"],
  "a property": ["const o = { a: 1 };", "(o.a = [o.a], o.a)"],
  "a new property": ["const o = { a: 1 };", "(o.b = (o.b ?? 0) + 1, o['c' + 1] = { x: [] }, o)"],
  "a deleted property": ["const o = { a: 1, b: 2 };", "(delete o.a, o)"],
  "a property that was deleted by the build": ["const o = { a: 1, b: 2, c: 3 }; delete o.b;", "(o.b = 5, delete o.a, o)"],
  "many properties": ["const o = {};", "(() => { for (let i = 0; i < 100; i++) o['k' + i] = [i]; return Object.keys(o).length; })()"],
  "an integer-like key": ["const o = { 1: 'a' };", "(o[2] = 'b', o)"],
  "a property by defineProperty": ["const o = { a: 1 };", "(Object.defineProperty(o, 'a', { get: () => 7, enumerable: true, configurable: true }), o.a)"],
  "a frozen object": ["const o = { a: 1 };", "(() => { const was = Object.isFrozen(o); Object.freeze(o); return was; })()"],
  "an object that is no longer extensible": ["const o = { a: 1 };", "(() => { const was = Object.isExtensible(o); Object.preventExtensions(o); return was; })()"],
  "a prototype": ["const o = { a: 1 };", "(() => { const was = o.z ?? null; Object.setPrototypeOf(o, { z: 1 }); return [was, o.z]; })()"],
  "a class's static": ["class Counter { static n = 0; static #p = 0; static up() { Counter.#p++; return [++Counter.n, Counter.#p]; } }", "Counter.up()"],
  "a private field": ["class C { #n = 0; up() { return ++this.#n; } } const c = new C();", "c.up()"],
  "an element": ["const a = [1, 2, 3];", "(a[1] = { x: 1 }, a)"],
  "an appended element": ["const a = [1, 2, 3];", "(a[3] = 4, a[a.length] = [5], a)"],
  "push": ["const a = [];", "(a.push(1, {}), a.push(3), a)"],
  "push to many": ["const a = [];", "(() => { for (let i = 0; i < 1000; i++) a.push([i]); return a.length; })()"],
  "pop and shift": ["const a = [1, [2], 3];", "[a.pop(), a.shift(), a]"],
  "unshift": ["const a = [1];", "(a.unshift([0]), a)"],
  "splice": ["const a = [1, 2, 3];", "[a.splice(1, 1, 'x', ['y']), a]"],
  "sort and reverse": ["const a = [3, 1, 2];", "[[...a.sort()], [...a.reverse()]]"],
  "fill and copyWithin": ["const a = [1, 2, 3];", "(a.fill({ a: 1 }, 1), a.copyWithin(0, 1), a)"],
  "length": ["const a = [1, [2], 3];", "(a.length = 1, a.length = 2, a.length)"],
  "a hole": ["const a = [1, 2, 3];", "(delete a[1], a[10] = 1, a.length)"],
  "a property of an array": ["const a = [1];", "(a.extra = (a.extra ?? 0) + 1)"],
  "a Map": ["const m = new Map([['a', { n: 1 }]]);", "(m.set('b', [2]), m.set('a', { n: m.get('a').n + 1 }), [...m])"],
  "a Map of the build that grows": ["const m = new Map();", "(() => { for (let i = 0; i < 200; i++) m.set('k' + i, { i }); return [m.size, m.get('k7')]; })()"],
  "a Map's deletions": ["const m = new Map([['a', 1], ['b', 2], ['c', 3]]);", "(m.delete('b'), m.set('d', 4), [...m.keys()])"],
  "a Map that is cleared": ["const m = new Map([['a', 1], ['b', 2]]);", "(() => { const was = m.size; m.clear(); m.set('x', {}); return [was, m.size]; })()"],
  "a Map that is changed while it is iterated": ["const m = new Map([['a', 1], ['b', 2], ['c', 3]]);", "(() => { const seen = []; for (const [k] of m) { seen.push(k); m.delete(k); if (seen.length < 5) m.set(k + k, 1); } return seen; })()"],
  "a Set": ["const s = new Set([1]);", "(s.add(2), s.add({}), s.size)"],
  "a WeakMap": ["const w = new WeakMap(); const key = {};", "(() => { const had = w.has(key); w.set(key, { a: 1 }); w.set({}, 2); return [had, w.get(key)]; })()"],
  "a WeakSet with a key of the build": ["const w = new WeakSet(); const key = {}; w.add(key);", "(() => { const had = w.has(key); w.delete(key); return [had, w.has(key)]; })()"],
  "lastIndex": ["const word = /\\w/g;", "[word.exec('ab')[0], word.lastIndex]"],
  "a sticky expression": ["const word = /a/y;", "[word.test('aa'), word.test('aa'), word.test('aa')]"],
  "an expression that is compiled anew": ["const word = /a/g;", "(() => { const was = [word.source, word.flags, word.test('a')]; word.compile('b+', 'i'); word.compile(`c${was.length}`, 'y'); return [...was, word.source, word.flags, word.test('c3')]; })()"],
  "an expression that is compiled from another": ["const word = /a/g, other = /b/i;", "(() => { const was = word.source; word.compile(other); return [was, word.source, word.test('B')]; })()"],
  "a proxy that is revoked": ["const { proxy, revoke } = Proxy.revocable({ a: 1 }, {});", "(() => { const was = proxy.a; revoke(); revoke(); let thrown; try { proxy.a; } catch (error) { thrown = error.message; } return [was, thrown]; })()"],
  "a Date": ["const d = new Date(Date.UTC(2020, 0, 1));", "(d.setUTCDate(d.getUTCDate() + 1), d.toISOString())"],
  "a typed array": ["const bytes = new Uint8Array(4);", "(bytes[0] += 1, bytes.fill(7, 2), [...bytes])"],
  "a DataView": ["const view = new DataView(new ArrayBuffer(8));", "(view.setInt16(2, view.getInt16(2) + 5), view.getInt16(2))"],
  "a global": ["globalThis.count = 1;", "(globalThis.count++, globalThis.fresh = (globalThis.fresh ?? 0) + 1, [globalThis.count, globalThis.fresh])"],
  "a builtin": ["", "(() => { const was = typeof Array.prototype.mine; Array.prototype.mine = () => 1; return [was, [].mine()]; })()"],
  "an index on Array.prototype": ["", "(() => { const was = [, 1][0] ?? null; Array.prototype[0] = 'p'; return [was, [, 1][0]]; })()"],
  "a replaced builtin": ["", "(() => { const was = Math.max(1, 2); Math.max = () => 0; return [was, Math.max(1, 2)]; })()"],
  "Error.stackTraceLimit": ["", "(() => { const was = Error.stackTraceLimit; Error.stackTraceLimit = 3; return [was, Error.stackTraceLimit]; })()"],
  "an iterator of an array": ["const it = [1, 2, 3][Symbol.iterator]();", "[it.next().value, it.next().value]"],
  "an iterator of a Map": ["const it = new Map([['a', 1], ['b', 2]]).keys();", "[it.next().value, it.next().value, it.next().done]"],
  "a cache in front of a function": ["const cache = {}; const square = (n) => cache[n] ??= { n, of: n * n };", "[square(2), square(2) === square(2)]"],
  "a cycle": ["const o = { a: null };", "(o.a = { back: o, more: [] }, o.a.more.push(o.a), o.a.back === o)"],
  "a function's property": ["function f() { return f.calls = (f.calls ?? 0) + 1; }", "(f(), f())"],
  "an argument's default that is shared": ["const shared = []; function add(x, list = shared) { list.push(x); return list.length; }", "(add(1), add(2))"],
};

for (const [name, [top, expression]] of Object.entries(WRITES)) {
  test(`${name} is written to and put back`, async () => {
    const room = await roomOf(`messages = { go: () => ${expression}, other: () => 1 };`, top);
    const first = room.ask("go");
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(room.ask("go"), first);
      if (i % 5 === 0) room.guest.exports.collect();
    }
    assert.deepEqual(room.restored().ask("go"), first);
    assert.equal(room.ask("other"), 1);
  });
}

test("memory stays flat while a script writes to module state", async () => {
  const names = Object.keys(WRITES).filter((name) => name !== "an index on Array.prototype");
  for (const name of names) {
    const [top, expression] = WRITES[name];
    const room = await roomOf(`messages = { go: () => { ${expression}; } };`, top);
    const measure = () => {
      for (let i = 0; i < 50; i++) room.ask("go");
      room.guest.exports.collect();
      return room.guest.exports.allocated();
    };
    measure();
    const before = measure(), after = measure();
    assert.ok(after <= before, `${name}: ${before} → ${after}`);
  }
});

test("a generator that the build has begun cannot go on", async () => {
  const room = await roomOf("messages = { go: () => it.next().value };", "function* count() { let n = 0; for (;;) yield n++; } const it = count();");
  assert.throws(() => room.ask("go"), /TypeError: this generator was begun while the component was built/);
});

test("a buffer that the build has made is neither resized nor transferred", async () => {
  const room = await roomOf(`messages = {
    resize: () => resizable.resize(4), transfer: () => plain.transfer(), shrink: () => plain.transfer(0), move: () => plain.transferToFixedLength(4),
    look: () => [resizable.byteLength, plain.byteLength, plain.detached, [...new Uint8Array(plain)], view.length],
    own: () => { const own = new ArrayBuffer(2, { maxByteLength: 8 }); own.resize(8); return [own.byteLength, own.transfer(3).byteLength]; },
  };`, "const resizable = new ArrayBuffer(8, { maxByteLength: 16 }), plain = new Uint8Array([1, 2]).buffer, view = new Uint8Array(resizable); resizable.resize(6);");
  for (const type of ["resize", "transfer", "shrink", "move"]) assert.throws(() => room.ask(type), /TypeError: this buffer was made while the component was built, and cannot be resized or transferred/);
  assert.deepEqual(room.ask("look"), [6, 2, false, [1, 2], 6]);
  assert.deepEqual(room.ask("own"), [8, 3]);
});

test("a write is put back when the call throws or is refused, too", async () => {
  const room = await roomOf("messages = { refuse: () => { list.push(1); this.refuse('no'); }, throw: () => { list.push(1); throw new Error('x'); }, length: () => list.length };", "const list = [];");
  assert.match(room.handle("message", ANA, "refuse", "null"), /^refuse\x1fno$/);
  assert.equal(room.ask("length"), 0);
  assert.throws(() => room.ask("throw"), /Error: x/);
  assert.equal(room.ask("length"), 0);
});

test("a sealed literal that becomes state is copied", async () => {
  const room = await roomOf("messages = { set: () => { this.state = DEFAULTS; this.state.list.push(1); }, add: () => { this.state.list.push(2); return this.state; }, defaults: () => DEFAULTS };", "const DEFAULTS = { list: [], deep: { a: 1 } };");
  room.ask("set");
  assert.deepEqual(room.state, { list: [1], deep: { a: 1 } });
  assert.deepEqual(room.ask("defaults"), { list: [], deep: { a: 1 } });
  assert.deepEqual(room.ask("add"), { list: [1, 2], deep: { a: 1 } });
  assert.deepEqual(room.ask("defaults"), { list: [], deep: { a: 1 } });
});

test("a part of the state that a variable held is the state's alone in the next call", async () => {
  const room = await roomOf("state = { a: { n: 1 } }; messages = { hold: () => { held = this.state.a; held.n++; return held; }, poke: () => { if (held) held.n = 99; return this.state.a; } };", "let held;");
  assert.deepEqual(room.ask("hold"), { n: 2 });
  assert.deepEqual(room.ask("poke"), { n: 2 });
  assert.deepEqual(room.state, { a: { n: 2 } });
});

test("an iterator that is garbage when the call ends takes nothing of its Map with it", async () => {
  const body = `messages = {
    hold: () => { const o = { it: map.keys() }; o.self = o; return o.it.next().value; },
    write: () => { map.set("c", 3); map.delete("c"); },
    "hold at the end": () => { map.delete("b"); map.set("x", {}).set("y", {}); const o = { it: map.keys() }; o.self = o; for (let i = 0; i < 3; i++) o.it.next(); map.delete("y"); return [...map.keys()]; },
    look: () => [...map.keys()],
  };`;
  const room = await roomOf(body, "const map = new Map([['a', 1], ['b', 2]]);");
  for (let i = 0; i < 3; i++) {
    assert.equal(room.ask("hold"), "a");
    room.ask("write");
    room.guest.exports.collect();
    assert.deepEqual(room.ask("look"), ["a", "b"]);
    assert.deepEqual(room.ask("hold at the end"), ["a", "x"]);
    room.ask("write");
    room.guest.exports.collect();
    assert.deepEqual(room.ask("look"), ["a", "b"]);
  }
});

test("an entry that is deleted under its iterator is passed over", async () => {
  const body = "messages = { go: () => { const seen = [], all = map.entries(); for (const [key] of all) { seen.push(key); map.delete('a'); map.delete('b'); map.set('b', 0); if (seen.length > 5) break; } map.forEach((_, key) => { seen.push(key); map.clear(); }); return [seen, map.size]; } };";
  const room = await roomOf(body, "const map = new Map([['a', 1], ['b', 2], ['c', 3]]);");
  for (let i = 0; i < 3; i++) assert.deepEqual(room.ask("go"), [["a", "c", "b", "b", "b", "b", "c"], 0]);
});

test("a variable that is written to often costs the same beside a large Map", async () => {
  const room = await roomOf("messages = { go: () => { map.set('x', 1); for (let i = 0; i < 20_000; i++) count++; return [count, map.size]; } };", "let count = 0; const map = new Map(Array.from({ length: 5_000 }, (_, i) => [i, { i }]));");
  for (let i = 0; i < 5; i++) assert.deepEqual(room.ask("go"), [20_000, 5_001]);
});
