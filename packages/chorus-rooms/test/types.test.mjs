// The types of the harness, and of the rooms of these tests, are right.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const TSC = fileURLToPath(new URL("../../../guests/node_modules/typescript/bin/tsc", import.meta.url));

for (const [what, project] of [
  ["the types of the harness take what is right and refuse what is not", "tsconfig.json"],
  ["the rooms are right by strict types", "rooms/tsconfig.json"],
]) {
  test(what, () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [TSC, "--project", fileURLToPath(new URL(project, import.meta.url))], { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  });
}
