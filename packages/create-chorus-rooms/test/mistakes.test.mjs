// A mistake in the room of a template is found by the project's own test command, as its author would run it: the report names the
// mistake, and the way there has at most ten steps.
//
// That the templates pass without a mistake is a test of `create.test.mjs`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { createProject, TEMPLATES } from "../src/create.mjs";
import { installedIn } from "./installed.mjs";
import { MISTAKES } from "./mistakes.mjs";

const CHORUS = fileURLToPath(new URL("../../chorus-rooms/bin/chorus.mjs", import.meta.url));
const RUNS = 1_000, SEED = 1;
const MOST_STEPS = 10;
/** A mistake takes about a second, most of it the start of three processes; more at a time than this would only make each slower. */
const AT_A_TIME = Math.min(2, availableParallelism());

const scratch = mkdtempSync(join(tmpdir(), "chorus-mistakes-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

describe("random play of a template finds that", { concurrency: AT_A_TIME }, () => {
  for (const [at, mistake] of MISTAKES.entries()) {
    test(mistake.name, async (t) => {
      const folder = planted(mistake, join(scratch, `of-${at}`));
      const began = performance.now();
      const { status, output } = await chorus(folder, "test", "--runs", `${RUNS}`, "--seed", `${SEED}`, "--only", "random play");
      assert.equal(status, 1, output);
      const [, run] = /, run (\d+): /.exec(output) ?? assert.fail(output);
      const [, steps, of] = /The shortest way there: (\d+) steps? of (\d+)\./.exec(output) ?? assert.fail(output);
      t.diagnostic(`${mistake.name}: run ${run}, ${of} steps, ${steps} when shrunk, ${((performance.now() - began) / 1000).toFixed(1)} s`);
      assert.match(output, mistake.finds);
      assert.ok(Number(steps) <= MOST_STEPS, output);
    });
  }
});

/** A project of the template, with the mistake in its room. */
function planted({ template, from, to, also = [] }, folder) {
  createProject(folder, template);
  installedIn(folder);
  const file = join(folder, "rooms", TEMPLATES[template].kind, "index.ts");
  let code = readFileSync(file, "utf8");
  for (const [old, fresh] of [[from, to], ...also]) {
    assert.equal(code.split(old).length, 2, `the room has this text once: ${old}`);
    code = code.replace(old, () => fresh);
  }
  writeFileSync(file, code);
  return folder;
}

/** Runs `chorus` in a folder: `{ status, output }`. */
function chorus(cwd, ...args) {
  const { CHORUS_ROOMS, CHORUS_TEST_DIST, CHORUS_TEST_RUNS, CHORUS_TEST_SEED, CHORUS_TEST_PLAYED, CHORUS_BIN, NODE_TEST_CONTEXT, ...env } = process.env;
  const child = spawn(process.execPath, [CHORUS, ...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => { output += text; });
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, output })));
}
