// The report of module state that a call leaves changed: for the author, where the host requests it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ANA, HASH_SEED, Room, built, checkedRoomOf, roomOf } from "./room.mjs";

/** The reports of a call: what has changed, and in which function. */
function reports(text) {
  return text.split("\x1e").filter((effect) => effect.startsWith("log\x1fwarn\x1fmodule state: "))
    .map((effect) => /^module state: (.*) is changed by this call, and put back at its end: what must last goes into this\.state(?:\n {4}at (.+) \(script:\d+:\d+\))?$/.exec(effect.split("\x1f")[2]).slice(1));
}

const CHANGES = {
  "a variable": ["let n = 1;", "n++;", "`n`"],
  "a variable that a function of the module changes": ["let n = 1; const up = () => { n += 1; };", "up();", "`n`", "up"],
  "a property": ["const held = { a: 1 };", "held.a = 2;", "`held.a`"],
  "a new property": ["const held = {};", "held.fresh = 1;", "`held.fresh`"],
  "a deleted property": ["const held = { a: 1 };", "delete held.a;", "`held.a`"],
  "a property of a property": ["const held = { deep: { a: 1 } };", "held.deep.a = 2;", "`held.deep.a`"],
  "an integer-like key": ["const held = {};", "held[7] = 1;", "`held.7`"],
  "an element": ["const list = [1];", "list[0] = 2;", "`list`"],
  "push": ["const list = [];", "list.push(1);", "`list`"],
  "a Map": ["const map = new Map();", "map.set('a', 1);", "`map`"],
  "a value in a Map": ["const map = new Map([['a', 1]]);", "map.set('a', 2);", "`map`"],
  "a deletion in a Set": ["const set = new Set([1]);", "set.delete(1);", "`set`"],
  "a WeakMap with a key of the build": ["const weak = new WeakMap(); const key = {};", "weak.set(key, 1);", "`weak`"],
  "a static property": ["class Counter { static n = 0; }", "Counter.n++;", "`Counter.n`"],
  "a global": ["globalThis.shared = 1;", "globalThis.shared++;", "`globalThis.shared`"],
  "a frozen object": ["const held = {};", "Object.preventExtensions(held);", "`held`"],
  "a Date": ["const date = new Date(0);", "date.setTime(5);", "`date`"],
  "an iterator": ["const it = [1, 2].values();", "it.next();", "an iterator or a proxy"],
  "a regular expression that is compiled anew": ["const word = /a/;", "word.compile('b');", "`word`"],
  "a proxy that is revoked": ["const { revoke } = Proxy.revocable({}, {});", "revoke();", "an iterator or a proxy"],
};

for (const [name, [top, code, subject, at = "go"]] of Object.entries(CHANGES)) {
  test(`${name} is reported once`, async () => {
    const room = await checkedRoomOf(`messages = { go: () => { ${code} } };`, top);
    assert.deepEqual(reports(room.handle("message", ANA, "go", "null")), [[subject, at]]);
    assert.deepEqual(reports(room.handle("message", ANA, "go", "null")), [], "the place is known");
  });
}

const EXEMPT = {
  "lastIndex": ["const word = /\\w/g;", "word.test('ab');"],
  "a value that comes back": ["let current; const held = { a: 1 };", "current = 1; held.a = 2; held.b = 1; delete held.b; held.a = 1; current = undefined;"],
  "the same text, built anew": ["let text = 'ab'; let half = 0.5;", "text = ['a', 'b'].join(''); half = 1 / 2;"],
  "a Map that has its entries again": ["const map = new Map([['a', 1]]);", "map.set('b', 1); map.delete('b'); map.set('a', 1);"],
  "an entry for a key of the call": ["const weak = new WeakMap(), seen = new WeakSet();", "const key = {}; weak.set(key, 1); seen.add(key);"],
  "scratch memory": ["const bytes = new Uint8Array(4);", "bytes[0] = 1;"],
};

for (const [name, [top, code]] of Object.entries(EXEMPT)) {
  test(`${name} is not reported`, async () => {
    const room = await checkedRoomOf(`messages = { go: () => { ${code} } };`, top);
    assert.deepEqual(reports(room.handle("message", ANA, "go", "null")), []);
  });
}

test("a call that throws or is refused reports nothing", async () => {
  const room = await checkedRoomOf("messages = { throw: () => { n++; throw new Error('no'); }, refuse: () => { n++; this.refuse('no'); } };", "let n = 0;");
  assert.match(room.handle("message", ANA, "throw", "null"), /^!Error: no\n[^\x1e]*$/);
  assert.equal(room.handle("message", ANA, "refuse", "null"), "refuse\x1fno");
});

test("the report is the only difference, and none without the host's wish", async () => {
  const { memory } = await built("state = { n: 0 }; messages = { go: (_player, name) => { n++; held[name] = n; list.push(n); return [n, held, list, this.state.n++]; } };", "let n = 0; const held = {}, list = [];");
  const rooms = [false, true].map((check) => new Room(memory, undefined, HASH_SEED, check));
  for (const name of ["a", "b", "\u001e\u001f\n", "x".repeat(200), "7"]) {
    const [plain, checked] = rooms.map((room) => room.handle("message", ANA, "go", JSON.stringify(name)));
    assert.deepEqual(reports(plain), []);
    assert.equal(checked.split("\x1e").filter((effect) => !effect.startsWith("log\x1fwarn\x1fmodule state: ")).join("\x1e"), plain);
    assert.equal(rooms[0].saved, rooms[1].saved);
  }
});

test("a name of a client cannot end the report", async () => {
  const room = await checkedRoomOf("messages = { go: (_player, name) => { held[name] = 1; } };", "const held = {};");
  const effects = room.handle("message", ANA, "go", JSON.stringify("a\u001ereply\u001f1")).split("\x1e");
  assert.deepEqual(effects.map((effect) => effect.split("\x1f")[0]), ["reply", "log"]);
  assert.equal((await roomOf("messages = { go: () => 1 };")).ask("go"), 1);
});

test("many places are reported over several calls", async () => {
  const names = Array.from({ length: 20 }, (_, i) => `v${i}`);
  const room = await checkedRoomOf(`messages = { go: () => { ${names.map((name) => `${name}++;`).join(" ")} } };`, `let ${names.map((name) => `${name} = 0`).join(", ")};`);
  const all = [1, 2, 3, 4].map(() => reports(room.handle("message", ANA, "go", "null")).map(([subject]) => subject));
  assert.deepEqual(all.map((list) => list.length), [8, 8, 4, 0]);
  assert.deepEqual(all.flat().sort(), names.map((name) => `\`${name}\``).sort());
});

test("a name that the call has made, and dropped again, is not in the report", async () => {
  const room = await checkedRoomOf(`messages = { go: (_player, name) => {
    held[name] = hidden[0].deep; held[name].a = 1; delete held[name];
    new Function("held", "name", "return () => { held[name + 2] = 1; }")(held, name)();
    for (let i = 0; i < 500; i++) ({})[name + i] = i;
  } };`, "const held = {}, hidden = [{ deep: {} }];");
  for (const name of ["first name", "second name"]) {
    const subjects = reports(room.handle("message", ANA, "go", JSON.stringify(name))).map(([subject]) => subject);
    assert.deepEqual(subjects, name === "first name" ? ["`held.first name2`", "`….a`"] : []);
  }
});
