// The README's room works: it is built and played unchanged.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { bundle } from "../guests/build/bundle.mjs";
import { inspect } from "../guests/build/inspect.mjs";
import { compiled, Story } from "../guests/test/story.mjs";

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
  return new Story(compiled(bundled), { kind: "buzzer" }).create();
}

test("it has 15 lines", () => {
  assert.equal(code.trim().split("\n").length, 15);
});

test("the first to buzz wins, the second is refused, and after three seconds it is open again", async () => {
  const room = (await buzzer()).join("Ana").join("Ben");
  room.message("Ben", "buzz");
  assert.deepEqual(room.received("Ana"), [{ type: "won", data: { name: "Ben" } }]);
  room.message("Ana", "buzz");
  assert.equal(room.refused, "too late");
  room.wait(3000);
  assert.deepEqual(room.viewOf("Ana"), { open: true, scores: [["Ben", { name: "Ben", points: 1 }]] });
  room.message("Ana", "buzz").wait(3000).message("Ben", "buzz");
  assert.deepEqual(room.state.scores, [["Ben", { name: "Ben", points: 2 }], ["Ana", { name: "Ana", points: 1 }]]);
});

test("it counts for players of any name and any id", async () => {
  const names = ["constructor", "__proto__", "toString", "hasOwnProperty", "0", "__defineGetter__"];
  const room = await buzzer();
  for (const name of names) room.join(name);
  for (const name of [...names, ...names]) room.message(name, "buzz").wait(3000);
  assert.deepEqual(room.state.scores, names.map((name) => [name, { name, points: 2 }]));
});

test("its types are right, as `npm run types` checks them", () => {
  const guests = join(ROOT, "guests");
  // In the folder that the README names, under another name.
  const file = join(guests, `readme-${process.pid}.js`), config = join(guests, `readme-${process.pid}.json`);
  try {
    writeFileSync(file, code);
    writeFileSync(config, JSON.stringify({ extends: "./tsconfig.json", include: ["sdk/chorus.d.ts", file], exclude: ["sdk/*.js"] }));
    const { status, stdout } = spawnSync(process.execPath, [join(guests, "node_modules/typescript/bin/tsc"), "--project", config], { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  } finally {
    rmSync(file, { force: true });
    rmSync(config, { force: true });
  }
});
