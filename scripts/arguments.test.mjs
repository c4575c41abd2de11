import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const FOLDERS = ["scripts", "guests", "chorus/tests/torture", "chorus/tests/cluster"];

/** Every script that reads a command line. */
const SCRIPTS = FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => join(folder, name)))
  .filter((path) => path.endsWith(".mjs") && !path.endsWith(".test.mjs") && path !== "scripts/arguments.mjs")
  .filter((path) => /\b(argumentsOf|parseArgs)\(/.test(readFileSync(join(ROOT, path), "utf8")));

/** A copy of the scripts, like a fresh clone in which nothing is installed or built. */
const CLONE = mkdtempSync(join(tmpdir(), "chorus-clone-"));
for (const folder of [...FOLDERS, "chorus/tests", "testing", "clients/js", "fuzz/corpus"]) {
  cpSync(join(ROOT, folder), join(CLONE, folder), { recursive: true, filter: (path) => !/node_modules|[/]dist$/.test(path) });
}
after(() => rmSync(CLONE, { recursive: true, force: true }));

const run = (script, ...args) => spawnSync(process.execPath, [join(CLONE, script), ...args], { encoding: "utf8", timeout: 60_000 });

test("the scripts are found", () => {
  for (const one of ["scripts/cluster.mjs", "scripts/bench.mjs", "guests/build.mjs", "chorus/tests/torture/planted.mjs"]) {
    assert.ok(SCRIPTS.includes(one), one);
  }
});

for (const script of SCRIPTS) {
  test(`${script} has a help without anything installed, and reports a wrong argument in one line`, () => {
    const help = run(script, "--help");
    assert.deepEqual([help.status, help.stderr], [0, ""]);
    assert.match(help.stdout, /^Usage: /);
    const wrong = run(script, "--no-such-option");
    assert.equal(wrong.status, 2, wrong.stderr);
    assert.match(wrong.stderr, /--no-such-option/);
    assert.doesNotMatch(wrong.stderr, /^ {4}at |node:internal/m);
  });
}

test("a value that is not a number is refused before anything runs", () => {
  for (const [script, option] of [["chorus/tests/torture/torture.mjs", "kills"], ["chorus/tests/cluster/torture.mjs", "faults"], ["scripts/bench.mjs", "seconds"]]) {
    const wrong = run(script, `--${option}`, "many");
    assert.equal(wrong.status, 2, wrong.stderr);
    assert.match(wrong.stderr, /many/);
  }
});
