// The README's room is real: it is built and played as it stands there.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

import { bundle } from "../guests/build/bundle.mjs";
import { inspect } from "../guests/build/inspect.mjs";
import { Story } from "../guests/test/story.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "chorus-readme-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const [, code] = readFileSync(join(ROOT, "README.md"), "utf8").match(/```js\n(import \{ Room \}[\s\S]*?)```/);

async function buzzer() {
  const file = join(scratch, "buzzer.js");
  writeFileSync(file, code);
  const bundled = await bundle(file);
  const { warnings } = inspect(bundled, file, join(ROOT, "guests/sdk/"));
  assert.deepEqual(warnings, []);
  return new Story(new Script(`${bundled.script}\nguest;`), { kind: "buzzer" }).create();
}

test("it has 15 lines", () => {
  assert.equal(code.trim().split("\n").length, 15);
});

test("the first to buzz wins, the second is refused, and after three seconds it is open again", async () => {
  const room = (await buzzer()).join("Ana").join("Ben");
  room.message("Ben", "buzz");
  assert.deepEqual(room.told("Ana"), [{ type: "won", data: { name: "Ben" } }]);
  room.message("Ana", "buzz");
  assert.equal(room.refused, "too late");
  room.wait(3000);
  assert.deepEqual(room.viewOf("Ana"), { open: true, scores: { Ben: 1 } });
  room.message("Ana", "buzz");
  assert.deepEqual(room.state.scores, { Ben: 1, Ana: 1 });
});
