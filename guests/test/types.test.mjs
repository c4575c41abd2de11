// `tsc --strict` over the example guests and the fixtures, and over the promises of the SDK's types.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const GUESTS = fileURLToPath(new URL("..", import.meta.url));
const TSC = `${GUESTS}node_modules/typescript/bin/tsc`;

for (const [what, project] of [
  ["the guests and the fixtures are right by strict types", "tsconfig.json"],
  ["the SDK's types take what is right and refuse what is not", "test/types/tsconfig.json"],
]) {
  test(what, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [TSC, "--project", project], { cwd: GUESTS, encoding: "utf8" });
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
}
