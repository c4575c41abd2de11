/**
 * Tests the checkers: `checker.mjs` and `chorus audit` must find each bug that is planted in a real system
 * (`core/src/planted.rs`), and must find nothing when none is planted.
 *
 *     node planted.mjs [--bin PATH] [--planted PATH] [--keep DIR] [bug …]
 *
 * `--bin` is the binary that audits; it has no planted bugs. `--planted` is the binary with them, which is built here by
 * default, together with the simulator's test: only chorus's own crates are compiled for them, in the same build directory as the
 * others, and the binary is written to `planted/` in the target directory, so that it is never confused with the real one.
 *
 * Two runs take place at a time: each has its own data and ports, or services, and mostly waits.
 */

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf, wrongArguments } from "../../../scripts/arguments.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "../../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
/** The directory of cargo's builds, and the directory for binaries with planted bugs. */
const PLACES = { CARGO_BUILD_BUILD_DIR: TARGET, CARGO_TARGET_DIR: join(TARGET, "planted") };

const HELP = `Usage: node planted.mjs [options] [bug …]

Runs systems with a planted bug each; the checkers of the torture must find every one, and nothing where there is none. All
bugs when none is named; a wrong name lists them.

  --bin FILE       the chorus binary without bugs, which audits [env: CHORUS_BIN]
  --planted FILE   a binary with the bugs; without it, it is built
  --keep DIR       leaves directories and histories here
  --seed N         what the clients do (default: 1)
`;

const { values: flags, positionals: names } = argumentsOf(HELP, {
  allowPositionals: true,
  numbers: ["seed"],
  options: {
    bin: { type: "string", default: process.env.CHORUS_BIN ?? join(TARGET, "release/chorus") },
    planted: { type: "string" },
    keep: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});

/** A run of a cluster in which every kind of fault occurs once. */
const CLUSTER = ["--faults", "8", "--games", "8", "--players", "10", "--watchers", "2", "--minutes", "5"];

/** The exit code of a checker that has found something, and the one of a Rust test that failed. */
const FINDING = 1, NOT_FOUND = 101;

/** How many runs take place at a time. */
const AT_ONCE = 2;
/** The runs in which a bug must be found at the latest. `message-duplicates`, the rarest, showed in 5 of 6. */
const MAX_RUNS = 8;

/**
 * The planted bugs, each with the run in which it shows and the rule that must find it; without a rule, nothing may be found.
 * A bug may break other rules too: a move that is applied twice also causes frames that do not follow from the log. The longest run comes
 * first.
 */
const PLANTS = [
  // In one process, edge and host are killed together, so a restarted host repeats its outputs to a new edge.
  { bug: "edge-duplicates", cluster: true, run: CLUSTER, rule: "a frame came twice" },
  { bug: "nothing", run: ["--swaps"], rule: null },
  { bug: "early-ack", run: ["--kills", "6"], rule: "an acknowledged message is not in the channel" },
  { bug: "message-duplicates", run: [], rule: "a message was answered twice by its room" },
  { bug: "edge-duplicates", simulated: true },
  { bug: "message-duplicates", simulated: true },
  { bug: "early-snapshot", simulated: true },
  { bug: "timer-twice", simulated: true },
  { bug: "lost-alarm", simulated: true },
  { bug: "late-write", simulated: true },
  { bug: "kept-partition", simulated: true },
  { bug: "lost-kick", simulated: true },
  { bug: "timer-outside-the-log", simulated: true },
  { bug: "timer-outside-the-log", run: ["--kills", "1"], rule: "a frame differs from its room's" },
  { bug: "swap-outside-the-log", run: ["--swaps"], rule: "a snapshot differs from the replayed state" },
  { bug: "older-snapshot", run: ["--kills", "1"], rule: "a snapshot is older than the checkpoint" },
];

async function main() {
  const unknown = names.find((name) => !PLANTS.some(({ bug }) => bug === name));
  if (unknown) wrongArguments(`no bug is called ${unknown}; there are: ${PLANTS.map(({ bug }) => bug).join(", ")}.`);
  const wanted = PLANTS.filter(({ bug }) => names.length === 0 || names.includes(bug));
  const programs = await build(wanted);
  const home = flags.keep ?? (await mkdtemp(join(tmpdir(), "chorus-planted-")));
  const waiting = [...wanted];
  let missed = 0;
  const worker = async () => {
    while (waiting.length > 0) if (!(await isDetected(programs, home, waiting.shift()))) missed += 1;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log(missed === 0 ? `all ${wanted.length} are as they should be` : `${missed} of ${wanted.length} are not`);
  if (missed === 0 && !flags.keep) await rm(home, { recursive: true, force: true });
  else console.log(`directories and histories are kept in ${home}`);
  process.exitCode = missed > 0 ? 1 : 0;
}

/** Resolves with whether a planted bug is found. A run that fails has found nothing; the others go on. */
async function isDetected({ chorus, simulator }, home, plant) {
  try {
    if (plant.simulated) return await isFoundInSimulator(simulator, plant);
    return await (plant.cluster ? isFoundInCluster(chorus, plant) : isFound(chorus, home, plant));
  } catch (error) {
    return report(plant.bug, false, `the run failed: ${error.message}`);
  }
}

/**
 * Resolves with whether the checkers find the planted bug in a run of one process. A bug that shows only in a race with a
 * kill may need several runs, each with its own seed; a system without a bug has one run.
 */
async function isFound(bin, home, { bug, run, rule }) {
  const runs = rule === null ? 1 : MAX_RUNS;
  for (let n = 0; n < runs; n += 1) {
    const { is, what } = await chatterRun(bin, join(home, `${bug}-${n}`), { bug, run, rule }, Number(flags.seed) + n);
    if (is || n === runs - 1) return report(bug, is, n === 0 ? what : `${what}, in run ${n + 1}`);
  }
}

/** Resolves with whether one run was as it is to be, and with what was found in it. */
async function chatterRun(bin, data, { bug, run, rule }, seed) {
  await mkdir(data, { recursive: true });
  const plant = bug === "nothing" ? {} : { CHORUS_PLANT: bug };
  const chatter = [join(HERE, "chatter.mjs"), "--bin", bin, "--keep", data, "--seed", String(seed), ...run];
  const played = await output(process.execPath, chatter, plant);
  const file = join(data, "history.json");
  const history = await readFile(file, "utf8").then(JSON.parse, () => null);
  if (!history) return { is: false, what: `the run has left no history:\n${played}` };
  const audited = await output(flags.bin, ["audit", "--data", data, "--history", file, "--json"]);
  const audit = parse(audited);
  if (!audit) return { is: false, what: `the audit could not be made:\n${audited}` };

  const found = [...history.violations, ...audit.violations];
  const rules = [...new Set(found.map(({ rule }) => rule))];
  const is = rule === null ? found.length === 0 && audit.notCheckable.length === 0 : rules.includes(rule);
  const { "frames compared": frames, messages, "snapshots compared": snapshots } = audit.figures;
  const seen = `${messages} messages, ${frames} frames, ${snapshots} snapshots`;
  const what = rules.length === 0 ? "nothing" : `${found.length} times: ${rules.join("; ")}`;
  const aim = rule !== null && !is ? `it was to be found by “${rule}”; ` : "";
  return { is, what: `${aim}found ${what} (${seen})` };
}

/** The same in a cluster, whose torture runs both checkers itself. */
async function isFoundInCluster(bin, { bug, run, rule }) {
  const torture = [join(HERE, "../cluster/torture.mjs"), "--bin", bin, "--auditor", flags.bin, "--seed", flags.seed, ...run];
  // The operator's commands run the planted binary too. Their output is parsed, so it must not contain log lines.
  const printed = await output(process.execPath, torture, { CHORUS_PLANT: bug, CHORUS_LOG: "off" });
  const is = printed.includes(`  ${rule}: `) || printed.includes(`\n${rule}: `);
  return report(bug, is, is ? `found by “${rule}”, in a cluster` : `it was to be found by “${rule}” in:\n${printed}`);
}

/** The same in the simulator, which runs the machines of `core` alone. */
async function isFoundInSimulator(simulator, { bug }) {
  const printed = await output(simulator, ["--nocapture"], { CHORUS_PLANT: bug }, { most: NOT_FOUND });
  const seed = printed.split("\n").find((line) => line.startsWith("seed "));
  return report(bug, seed !== undefined, seed ? `found by the simulator: ${seed}` : `the simulator does not find it:\n${printed}`);
}

function report(bug, is, what) {
  console.log(`${is ? "ok    " : "WRONG "} ${bug}: ${what}`);
  return is;
}

function parse(text) {
  try {
    return JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  } catch {
    return null;
  }
}

/**
 * Resolves with the programs that have the bugs: `chorus`, and `simulator` if it is wanted. One build makes both, so that a crate has the
 * same features, and is compiled once.
 */
async function build(wanted) {
  const made = { chorus: flags.planted, simulator: undefined };
  const needs = { chorus: !flags.planted && wanted.some(({ simulated }) => !simulated), simulator: wanted.some(({ simulated }) => simulated) };
  if (!needs.chorus && !needs.simulator) return made;
  console.log("building the programs with bugs …");
  const args = ["build", "--release", "--locked", "--message-format=json-render-diagnostics"];
  if (needs.chorus) args.push("-p", "chorus", "--features", "chorus/planted-bugs", "--bin", "chorus");
  if (needs.simulator) args.push("-p", "chorus-sim", "--features", "chorus-sim/planted-bugs", "--test", "planted");
  const printed = await output("cargo", args, PLACES, { most: 0, progress: "inherit" });
  const artifacts = printed.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const programOf = (kind, name) => artifacts.find(({ target, executable }) => executable && target.kind.includes(kind) && target.name === name)?.executable;
  if (needs.chorus) made.chorus = programOf("bin", "chorus");
  if (needs.simulator) made.simulator = programOf("test", "planted");
  for (const name of Object.keys(needs)) if (needs[name] && !made[name]) throw new Error(`cargo has not named the program ${name} that it built`);
  return made;
}

/** Resolves with a program's output: with `progress: "inherit"`, its standard output alone. An exit code above `most` is an error here. */
function output(program, args, environment = {}, { most = FINDING, progress = "pipe" } = {}) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...environment };
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", progress] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (piece) => (text += piece));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (signal !== null || code > most) reject(new Error(`${program} ended with ${code ?? signal}\n${text}`));
      else resolve(text);
    });
  });
}

await main();
