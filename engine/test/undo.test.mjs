// What a call writes to module state is seen by that call, and put back at its end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ANA, roomOf } from "./room.mjs";
import { WRITES } from "./writes.mjs";

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
