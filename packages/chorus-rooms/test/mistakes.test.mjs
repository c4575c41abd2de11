// Random play finds each mistake that is planted in a room, makes the way there short, and prints it as a test that fails for the same
// reason. Rooms without a mistake pass.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { playKind } from "chorus-rooms/test";
import { MISTAKES } from "./mistakes.mjs";
import { GUESTS, PLAYS } from "./plays.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const REPOSITORY = join(HERE, "../../..");
/** As `chorus test --runs 1000 --seed 1`. */
const RUNS = 1_000, SEED = 1;
const MOST_STEPS = 10;

const scratch = mkdtempSync(join(tmpdir(), "chorus-mistakes-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
mkdirSync(join(scratch, "node_modules"));
symlinkSync(join(HERE, ".."), join(scratch, "node_modules/chorus-rooms"));
writeFileSync(join(scratch, "package.json"), '{ "type": "module" }');

for (const [at, mistake] of MISTAKES.entries()) {
  test(`it finds that ${mistake.name}`, async (t) => {
    const folder = planted(mistake, join(scratch, `${at}`));
    const { runs, failure } = await playKind(pathToFileURL(join(folder, mistake.room)), PLAYS[mistake.room], { runs: RUNS, seed: SEED });
    assert.ok(failure, `not found in ${runs} runs`);
    t.diagnostic(`${mistake.name}: run ${failure.run}, ${failure.found} steps, ${failure.steps.length} when shrunk`);
    assert.match(failure.message, mistake.finds);
    assert.ok(failure.steps.length <= MOST_STEPS, failure.story);
    fails(failure, mistake, folder);
  });
}

for (const kind of Object.keys(PLAYS)) {
  test(`the room ${kind} passes ${RUNS} runs`, async () => {
    const { failure } = await playKind(pathToFileURL(join(HERE, "rooms", kind)), PLAYS[kind], { runs: RUNS, seed: SEED });
    assert.equal(failure?.story, undefined, failure?.message);
  });
}

test("the guests of this repository pass", async () => {
  for (const [kind, plan] of Object.entries(GUESTS)) {
    const { failure } = await playKind(pathToFileURL(join(REPOSITORY, "guests", kind)), plan, { runs: 100, seed: SEED });
    assert.equal(failure?.story, undefined, failure?.message);
  }
});

/** A copy of the room, with the mistake in it. */
function planted({ room, from, to, also = [] }, folder) {
  cpSync(join(HERE, "rooms", room), join(folder, room), { recursive: true });
  const file = join(folder, room, "index.js");
  let code = readFileSync(file, "utf8");
  for (const [old, fresh] of [[from, to], ...also]) {
    assert.ok(code.includes(old), `the room has this text: ${old}`);
    code = code.replace(old, () => fresh);
  }
  writeFileSync(file, code);
  return folder;
}

/** The printed story, as an author would run it. */
function fails({ story }, { room, finds }, folder) {
  const file = join(folder, "story.test.mjs");
  writeFileSync(file, `import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoom, play } from "chorus-rooms/test";
import { GUESTS, PLAYS } from ${JSON.stringify(pathToFileURL(join(HERE, "plays.mjs")).href)};
play(${JSON.stringify(room)}, { ...PLAYS.${room}, repetitions: 0 });
${story}
`);
  const environment = { ...process.env, CHORUS_ROOMS: folder, CHORUS_TEST_RUNS: "0" };
  delete environment.NODE_TEST_CONTEXT;
  const { stdout, status } = spawnSync(process.execPath, ["--test", "--test-reporter=spec", file], { cwd: folder, env: environment, encoding: "utf8" });
  assert.equal(status, 1, `${story}\n${stdout}`);
  assert.match(stdout, finds);
  assert.match(stdout, /ℹ fail 1\n/, stdout);
}
