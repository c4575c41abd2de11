// The error codes in the types are those of the server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

test("the types have all codes of the server's errors", () => {
  const ofServer = [...read("../../../core/src/frame/codes.rs").matchAll(/ErrorCode::\w+ => "(\w+)"/g)].map(([, code]) => code);
  const [, union] = /type ServerCode =([^;]+);/.exec(read("../chorus.d.ts"));
  assert.deepEqual([...union.matchAll(/"(\w+)"/g)].map(([, code]) => code), ofServer);
});
