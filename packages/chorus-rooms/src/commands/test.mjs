// `chorus test`: builds the rooms of a project, and runs its tests by Node's test runner; then plays those rooms at random that no test
// declares a `play` for.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf, command, WrongArguments } from "../arguments.mjs";
import { build, mistakesOf, roomsFolder } from "../project.mjs";
import { warningsOf } from "../view-sizes.mjs";

const HELP = `Usage: chorus test [options] [file …]

Runs the tests of a project's rooms in virtual time: the files named, or all *.test.js, .mjs, .cjs, .ts and .mts of the project, by
Node's test runner. Tests, and what they import, may be TypeScript on every Node. Rooms are built first. Each kind is also played at random, as its \`play\` declares it, or without one.

  --runs N      random runs of each kind (default 100)
  --seed N      the seed of the random runs (default 1): the same seed plays the same
  --only TEXT   only tests whose name contains this; no random play of undeclared kinds
  --rooms DIR   the folder of rooms (default: CHORUS_ROOMS, or the nearest rooms/ or guests/)
  --reporter R  a reporter of Node's test runner (default spec)
  --json        one line of JSON for each test, { file, line, name, ok, ms, error?, play? }, for each room that does not build, as of
                \`chorus build --json\`, and at the end { ok, passed, failed, skipped, warnings? }

The exit code is 1 if a test fails or a room does not build.
`;

const OPTIONS = { only: { type: "string" }, rooms: { type: "string" }, reporter: { type: "string" }, json: { type: "boolean" } };
const TEST_FILE = /\.test\.(?:[mc]?js|m?ts)$/;
/** What may be meant for a test: it is named if it is not run. */
const LIKE_A_TEST = /[._-](?:test|spec)s?\.[mc]?[jt]sx?$/;
const SKIPPED = new Set(["node_modules", "dist", ".git"]);
const REPORTER = new URL("../json-reporter.mjs", import.meta.url).href;
const TYPESCRIPT = new URL("../typescript.mjs", import.meta.url).href;
const UNDECLARED = fileURLToPath(new URL("../undeclared.mjs", import.meta.url));

export function main(args) {
  return command(args, async () => {
    const given = argumentsOf(args, HELP, { options: OPTIONS, numbers: ["runs", "seed"] });
    if (given === undefined) return 0;
    const { values, positionals } = given;
    const rooms = roomsFolder(values.rooms);
    if (values.json && values.reporter !== undefined) throw new WrongArguments("--json is a reporter of its own: leave out --reporter");
    const kinds = await built(rooms, values.json);
    if (kinds === undefined) return 1;
    const missing = positionals.find((file) => !statSync(file, { throwIfNoEntry: false })?.isFile());
    if (missing) throw new WrongArguments(`there is no file ${missing}`);
    const { files, others } = positionals.length > 0 ? { files: positionals, others: [] } : testFiles(dirname(rooms));
    const warnings = others.map((file) => `${file} is not run: a test is a file *.test.js, .mjs, .cjs, .ts or .mts`);
    const scratch = mkdtempSync(join(tmpdir(), "chorus-test-"));
    try {
      return runAll({ files, warnings, kinds, rooms, values, scratch });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
}

/** The kinds of the project, all built; undefined if one does not build. */
async function built(rooms, json) {
  const reports = await build(rooms);
  const failed = reports.filter(({ ok }) => !ok);
  for (const { done, of, ...report } of failed) {
    if (json) console.log(JSON.stringify(report));
    else console.error(`${report.kind}: it does not build\n${mistakesOf(report).replace(/^/gm, "  ")}`);
  }
  for (const { warnings = [] } of reports) for (const warning of warnings) console.warn(`warning: ${warning}`);
  if (reports.length === 0) throw new Error(`there are no rooms in ${rooms}: a room is a folder with an index.js or index.ts`);
  if (failed.length === 0) return reports.map(({ kind }) => kind);
  if (json) console.log(JSON.stringify({ ok: false, passed: 0, failed: 0, skipped: 0 }));
  return undefined;
}

function runAll({ files, warnings, kinds, rooms, values, scratch }) {
  const [played, counts, reached, views] = ["played", "counts", "reached", "views"].map((name) => join(scratch, name));
  const notes = { CHORUS_TEST_PLAYED: played, CHORUS_TEST_COUNTS: counts, CHORUS_TEST_REACHED: reached, CHORUS_TEST_VIEWS: views };
  const environment = { ...process.env, CHORUS_ROOMS: rooms, CHORUS_TEST_DIST: join(rooms, "dist"), ...notes };
  if (values.runs !== undefined) environment.CHORUS_TEST_RUNS = String(values.runs);
  if (values.seed !== undefined) environment.CHORUS_TEST_SEED = String(values.seed);
  // Set where a test starts this command: Node's runner would take the tests for its own.
  delete environment.NODE_TEST_CONTEXT;
  const flags = ["--import", TYPESCRIPT, "--test", `--test-reporter=${values.json ? REPORTER : values.reporter ?? "spec"}`];
  if (values.only !== undefined) flags.push(`--test-name-pattern=${values.only.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}`);
  const run = (list, more = {}) => spawnSync(process.execPath, [...flags, ...list], { stdio: "inherit", env: { ...environment, ...more } }).status === 0;
  let ok = files.length === 0 || run(files);
  const declared = read(played).split("\n");
  const undeclared = kinds.filter((kind) => !declared.includes(kind));
  if (values.only === undefined && undeclared.length > 0) ok = run([UNDECLARED], { CHORUS_TEST_KINDS: undeclared.join(",") }) && ok;
  warnings.push(...warningsOf(read(views)));
  for (const warning of warnings) console.error(`warning: ${warning}`);
  if (values.json) console.log(JSON.stringify({ ok, ...countsIn(counts), ...(warnings.length > 0 ? { warnings } : {}) }));
  return ok ? 0 : 1;
}

/** What the runs have counted, together. */
function countsIn(file) {
  const runs = read(file).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return Object.fromEntries(["passed", "failed", "skipped"].map((name) => [name, runs.reduce((sum, run) => sum + run[name], 0)]));
}

/** The test files below a folder, by name, and `others` that look like tests and are none. */
export function testFiles(folder) {
  const files = [], others = [];
  const visit = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) visit(join(at, entry.name));
      else if (entry.isFile() && LIKE_A_TEST.test(entry.name)) (TEST_FILE.test(entry.name) ? files : others).push(relative(process.cwd(), join(at, basename(entry.name))));
    }
  };
  visit(folder);
  return { files, others };
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
