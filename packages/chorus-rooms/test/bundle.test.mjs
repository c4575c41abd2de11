// The file that `chorus build` makes of a project.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { encode, fileName } from "../src/bundle.mjs";

/** The server's test reads it, too. */
const GOLDEN = new URL("../../../chorus/src/serve/bundle.golden", import.meta.url);

test("a bundle's bytes are these, in any order in which its components are built", async () => {
  const components = ["lobby", "chess"].map((kind) => ({ kind, wasm: Buffer.from(`\0asm ${kind}`) }));
  assert.deepEqual(encode("my-game", components), await readFile(GOLDEN));
});

test("it has the package's name without its scope", () => {
  assert.deepEqual(["my-game", "@me/my.game", "a b/..c d", undefined].map(fileName), ["my-game", "my.game", "..cd", "rooms"]);
});
