// The part of RFC 6902 that rooms send.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { applyPatch } from "../chorus.js";

const cases = [
  ["adds a member", {}, [{ op: "add", path: "/a", value: 1 }], { a: 1 }],
  ["adds over a member", { a: 0 }, [{ op: "add", path: "/a", value: 1 }], { a: 1 }],
  ["adds into an array", [1, 3], [{ op: "add", path: "/1", value: 2 }], [1, 2, 3]],
  [
    "adds at an array's end",
    [1],
    [
      { op: "add", path: "/1", value: 2 },
      { op: "add", path: "/-", value: 3 },
    ],
    [1, 2, 3],
  ],
  ["removes a member", { a: 1, b: 2 }, [{ op: "remove", path: "/a" }], { b: 2 }],
  ["removes from an array", [1, 2, 3], [{ op: "remove", path: "/1" }], [1, 3]],
  ["replaces deep inside", { a: [{ b: 1 }] }, [{ op: "replace", path: "/a/0/b", value: 2 }], { a: [{ b: 2 }] }],
  ["replaces the whole", { a: 1 }, [{ op: "replace", path: "", value: [2] }], [2]],
  [
    "reads escapes",
    { "a/b": 1, "c~d": 1 },
    [
      { op: "replace", path: "/a~1b", value: 2 },
      { op: "remove", path: "/c~0d" },
    ],
    { "a/b": 2 },
  ],
  ["reads an escaped tilde before a one", { "~1": 0 }, [{ op: "replace", path: "/~01", value: 1 }], { "~1": 1 }],
  ["handles an empty name", { "": 1 }, [{ op: "replace", path: "/", value: 2 }], { "": 2 }],
];
for (const [name, before, operations, after] of cases) {
  test(name, () => assert.deepEqual(applyPatch(before, operations), after));
}

const misfits = [
  ["removes what is not there", {}, { op: "remove", path: "/a" }],
  ["replaces what is not there", {}, { op: "replace", path: "/a", value: 1 }],
  ["replaces behind an array's end", [], { op: "replace", path: "/0", value: 1 }],
  ["adds far behind an array's end", [], { op: "add", path: "/1", value: 1 }],
  ["takes a word for an index", [1], { op: "replace", path: "/length", value: 0 }],
  ["takes a padded index", [1, 2], { op: "remove", path: "/01" }],
  ["goes through nothing", { a: null }, { op: "add", path: "/a/b", value: 1 }],
  ["goes through a prototype", {}, { op: "add", path: "/constructor/a", value: 1 }],
  ["is no pointer", {}, { op: "add", path: "a", value: 1 }],
  ["is another operation", { a: 1 }, { op: "test", path: "/a", value: 1 }],
];
for (const [name, document, operation] of misfits) {
  test(`refuses what ${name}`, () => assert.throws(() => applyPatch(document, [operation]), { code: "bad_patch" }));
}

test("leaves the old document alone, and shares what did not change", () => {
  const before = { board: [null], seats: [{ name: "Ana" }] };
  const after = applyPatch(before, [{ op: "replace", path: "/board/0", value: 1 }]);
  assert.deepEqual(before.board, [null]);
  assert.equal(after.seats, before.seats);
});

test("takes a prototype's name for a name", () => {
  const after = applyPatch({}, [{ op: "add", path: "/__proto__", value: { bad: true } }]);
  assert.equal(after.bad, undefined);
  assert.deepEqual(Object.keys(after), ["__proto__"]);
});

test("does not change what came as the value of an operation", () => {
  const value = { a: 1 };
  const after = applyPatch({}, [
    { op: "add", path: "/b", value },
    { op: "replace", path: "/b/a", value: 2 },
  ]);
  assert.deepEqual([value, after], [{ a: 1 }, { b: { a: 2 } }]);
});

test("copies a part once, however many operations it has", () => {
  let copies = 0;
  const board = [0, 1, 2, 3];
  board.slice = () => ((copies += 1), [...board]);
  const operations = [0, 1, 2, 3].map((at) => ({ op: "replace", path: `/board/${at}`, value: 9 }));
  assert.deepEqual(applyPatch({ board }, operations), { board: [9, 9, 9, 9] });
  assert.equal(copies, 1);
});

test("has after the operations of a server what a whole view would have given, bit for bit and key for key", () => {
  // Written by the server's own test: core/src/diff/tests.rs.
  const lines = readFileSync(new URL("patches.jsonl", import.meta.url), "utf8").trim().split("\n");
  assert.ok(lines.length > 100);
  for (const line of lines) {
    const { old, new: next, ops } = JSON.parse(line);
    assert.equal(JSON.stringify(applyPatch(old, ops)), JSON.stringify(next), line);
  }
});
