// The only test command: `just test [step …]`. It runs all test runners of this repository in turn, and prints one sum.
//
// All steps run even when one fails. A successful step is one line. A failed one shows its failed tests and the end of its
// output, and all logs are kept. The last line is the sum alone, `N passed, N failed`.

import { createWriteStream, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { Services } from "../testing/services/services.mjs";
import { add, countCargo, countNode, countNone, countOne, failures, NONE, plain, reports, stepCounts } from "./count.mjs";
import { argumentsOf, wrongArguments } from "./arguments.mjs";
import { run, stopOnSignals } from "./run.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TARGET = process.env.CARGO_TARGET_DIR;
const MINUTES = 60_000;
/** How many lines of its log a failed step shows. */
const TAIL_LINES = 80;
const NAMES = 30;

/** Makes cargo show its progress bar, from which the progress of a long build is shown. */
const ENVIRONMENT = {
  CHORUS_BIN: join(TARGET ?? "", "release", "chorus"),
  NO_COLOR: "1",
  CARGO_TERM_COLOR: "never",
  CARGO_TERM_PROGRESS_WHEN: "always",
  CARGO_TERM_PROGRESS_WIDTH: "78",
};
const TORTURE = ["--games", "10", "--kills", "12", "--minutes", "8"];
const TORTURE_CLUSTER = ["--games", "20", "--faults", "20", "--minutes", "12"];
/**
 * How many files of a step run at a time, by what they mostly do: as many as CI has cores where they compute, one more where they wait.
 * Node's own default is one less than the cores. So each file has its own ports, data directories, databases and topics.
 */
const COMPUTE = 2, WAIT = 3;
/** End-to-end tests that only work with one process. */
const EMBEDDED_ONLY = ["process.test.mjs", "edit.test.mjs", "fuzz.test.mjs", "whole.test.mjs", "readme.test.mjs", "identity.test.mjs", "joining.test.mjs", "bots.test.mjs", "virtual.test.mjs", "issuer.test.mjs", "haproxy.test.mjs", "ban.test.mjs", "secrets.test.mjs", "project.test.mjs", "kill.test.mjs", "inspector.test.mjs", "backup.test.mjs", "serve.test.mjs", "find.test.mjs"];

/**
 * The steps, in order: `commands` are run one after the other until one fails, each a program with its arguments;
 * `count` counts the tests in their output. `quick`: part of `just test-quick`, which compiles no sandbox. `services`: the
 * step needs PostgreSQL and a broker, which are started before the first such step, and stopped at the end.
 */
const STEPS = [
  { name: "install", title: "JavaScript tools", quick: true, count: countNone, commands: () => [node("scripts/setup.mjs")] },
  { name: "scripts", title: "these scripts, and the README's room", quick: true, count: countNode, commands: () => [nodeTests("scripts", COMPUTE)] },
  { name: "guests", title: "guests built into components", count: countNone, commands: () => [node("guests/build.mjs")] },
  { name: "guest-types", title: "types of the SDK and the guests", quick: true, count: countOne, commands: () => [tsc("guests", "tsconfig.json")] },
  { name: "guest-tests", title: "the SDK, the guests and their build", quick: true, count: countNode, commands: () => [nodeTests("guests/test", COMPUTE)] },
  { name: "engine", title: "the engine of guests", quick: true, count: countNode, commands: () => [nodeTests("engine/test", COMPUTE), inEngine(nodeTests("guests/test", COMPUTE, ["build.test.mjs", "types.test.mjs"]))] },
  { name: "rooms", title: "the harness of rooms: stories, random play, checks, bots", quick: true, count: countNode, commands: () => [nodeTests("packages/chorus-rooms/test", COMPUTE)] },
  { name: "create", title: "new projects: the command, and each template's types, stories and random play", quick: true, count: countNode, commands: () => [nodeTests("packages/create-chorus-rooms/test", COMPUTE)] },
  { name: "site", title: "the docs as a site", quick: true, count: countNode, commands: () => [nodeTests("site/test", COMPUTE)] },
  { name: "client-types", title: "types of the client", quick: true, count: countOne, commands: () => [tsc("clients/js", "test")] },
  { name: "client", title: "the client", quick: true, count: countNode, commands: () => [nodeTests("clients/js/test", COMPUTE)] },
  { name: "checker", title: "the checker of the torture", quick: true, count: countNode, commands: () => [nodeTests("chorus/tests/torture", COMPUTE)] },
  { name: "core", title: "the machines", quick: "only", count: countCargo, commands: () => [cargo("test", "-p", "chorus-core", "--no-fail-fast")] },
  { name: "build", title: "the chorus binary", minutes: 45, count: countNone, commands: () => [cargo("build", "-p", "chorus")] },
  { name: "rust", title: "all Rust tests", minutes: 45, services: true, count: countCargo, commands: () => [cargo("test", "--workspace", "--no-fail-fast")] },
  { name: "packages", title: "the packed packages, in an empty folder", count: countNode, commands: () => [...chromium(), nodeTests("packages/test", COMPUTE)] },
  { name: "e2e", title: "the whole way through one process", count: countNode, commands: () => [nodeTests("chorus/tests/e2e", WAIT)] },
  { name: "cluster-e2e", title: "the same through a cluster", minutes: 20, services: true, count: countNode, commands: () => [inCluster(nodeTests("chorus/tests/e2e", COMPUTE, EMBEDDED_ONLY))] },
  { name: "cluster", title: "a cluster that loses machines, and its operators", minutes: 30, services: true, count: countNode, commands: () => [nodeTests("chorus/tests/cluster", COMPUTE)] },
  { name: "page", title: "the page, in Chromium", count: countNode, commands: () => [...chromium(), nodeTests("chorus/tests/page", WAIT)] },
  { name: "torture", title: "kill -9 while games are played", count: countOne, commands: () => [node("chorus/tests/torture/torture.mjs", ...TORTURE)] },
  { name: "planted", title: "the checkers of the torture, against planted bugs", minutes: 30, count: countOne, commands: () => [node("chorus/tests/torture/planted.mjs")] },
  { name: "torture-cluster", title: "faults in a cluster while games are played", minutes: 20, count: countOne, commands: () => [node("chorus/tests/cluster/torture.mjs", ...TORTURE_CLUSTER)] },
];

const HELP = `Usage: just test [step …], or node scripts/test.mjs [--quick] [step …]

Runs all tests, or these steps. The last line is the sum. --quick: the steps that compile no sandbox.

${STEPS.map(({ name, title }) => `  ${name.padEnd(16)} ${title}\n`).join("")}`;

async function main() {
  const { values, positionals } = argumentsOf(HELP, { allowPositionals: true, options: { quick: { type: "boolean" } } });
  if (!TARGET) wrongArguments("CARGO_TARGET_DIR is not set: call this as `just test`.");
  const steps = chosen(values.quick, positionals);
  const logs = mkdtempSync(join(tmpdir(), "chorus-test-"));
  const environment = { ...ENVIRONMENT, SCREENSHOTS: join(logs, "screenshots") };
  const services = new OnDemand();
  let sum = NONE;
  for (const [at, step] of steps.entries()) {
    if (step.services) Object.assign(environment, await services.environment());
    sum = add(sum, await runStep(step, `[${at + 1}/${steps.length}] ${step.title}`, logs, environment));
  }
  sum = add(sum, await services.stop());
  if (sum.failed > 0) console.log(`\nThe logs are kept in ${logs}`);
  else rmSync(logs, { recursive: true, force: true });
  process.exitCode = sum.failed > 0 ? 1 : 0;
  console.log(`${sum.passed} passed, ${sum.failed} failed`);
}

function chosen(quick, names) {
  if (quick && names.length === 0) return STEPS.filter((step) => step.quick);
  if (names.length === 0) return STEPS.filter((step) => step.quick !== "only");
  const unknown = names.find((name) => !STEPS.some((step) => step.name === name));
  if (unknown) wrongArguments(`there is no step ${unknown}; there are: ${STEPS.map(({ name }) => name).join(", ")}.`);
  return STEPS.filter(({ name }) => names.includes(name));
}

/**
 * PostgreSQL and a broker, for all steps that need them: those named by the environment, else new ones. If they cannot be
 * started, this counts as one failure, and the steps run without them.
 */
class OnDemand {
  #services = null;
  #starting = null;
  #failed = NONE;

  environment() {
    return (this.#starting ??= this.#start());
  }

  async #start() {
    console.log("    PostgreSQL and a broker are started");
    try {
      this.#services = await Services.start({ postgres: true, kafka: true });
      return this.#services.environment;
    } catch (error) {
      console.log(`    FAILED: ${error.message}`);
      this.#failed = { passed: 0, failed: 1 };
      return {};
    }
  }

  async stop() {
    await this.#services?.stop();
    return this.#failed;
  }
}

async function runStep(step, heading, logs, environment) {
  console.log(heading);
  const begun = performance.now();
  const file = join(logs, `${step.name}.log`);
  const { code, outputs } = await runAll(step, file, environment);
  const counted = stepCounts(step, outputs, code);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  const tests = step.count === countNone ? "" : `${counted.passed} passed, ${counted.failed} failed, `;
  console.log(`    ${counted.failed > 0 ? "FAILED" : "ok"}: ${tests}${seconds} s`);
  if (counted.failed > 0) show(step, readFileSync(file, "utf8"), code);
  return counted;
}

/** The exit code of the last command that ran, and the output of each. */
async function runAll(step, file, environment) {
  const log = createWriteStream(file);
  const limit = (step.minutes ?? 15) * MINUTES;
  const outputs = [];
  let code = 0;
  try {
    for (const [program, ...args] of step.commands()) {
      let output = "";
      code = await run(program, args, { cwd: ROOT, log: { write: (piece) => (log.write(piece), (output += piece)) }, limit, environment });
      outputs.push(output);
      if (code !== 0) break;
    }
  } catch (error) {
    log.write(`${error.message}\n`);
    code = 1;
  }
  await new Promise((done) => log.end(done));
  return { code, outputs };
}

function show(step, output, code) {
  const lines = plain(output).trimEnd().split("\n");
  const names = failures(output);
  if (code === 0 && names.length === 0) console.log(`    it ran no test`);
  for (const name of names.slice(0, NAMES)) console.log(`    ${name}`);
  if (names.length > NAMES) console.log(`    … and ${names.length - NAMES} more`);
  for (const report of reports(output).slice(0, NAMES)) for (const line of report) console.log(`    > ${line}`);
  console.log(`    the end of its log:`);
  for (const line of lines.slice(-TAIL_LINES)) console.log(`    | ${line}`);
  console.log(`    again: just test ${step.name}`);
}

// ---- commands ----

function node(script, ...args) {
  return [process.execPath, script, ...args];
}

/** Ends a test file even if a failed test has left a handle open. Early versions of Node 20 lack the flags. */
const [MAJOR, MINOR] = process.versions.node.split(".").map(Number);
const FLAGS = MAJOR > 21 || (MAJOR === 20 && MINOR >= 14) ? (atOnce) => ["--test-force-exit", `--test-concurrency=${atOnce}`] : () => [];

/** The test files directly in a folder. The runner's own search differs between versions of Node. */
function nodeTests(folder, atOnce, except = []) {
  const names = existsSync(join(ROOT, folder)) ? readdirSync(join(ROOT, folder)).sort() : [];
  const files = names.filter((name) => /\.test\.m?js$/.test(name) && !except.includes(name)).map((name) => join(folder, name));
  if (files.length === 0) throw new Error(`there is no test in ${folder}/`);
  return [process.execPath, "--test", "--test-reporter=spec", ...FLAGS(atOnce), ...files];
}

/** The SDK's tests, with their rooms in the engine. */
function inEngine(command) {
  return ["env", "CHORUS_TEST_GUEST=engine", ...command];
}

/** The same tests, run against a cluster. */
function inCluster(command) {
  return ["env", `CHORUS_SYSTEM=${join(ROOT, "chorus/tests/cluster/system.mjs")}`, ...command];
}

function tsc(folder, project) {
  return [process.execPath, join(folder, "node_modules/typescript/bin/tsc"), "--project", join(folder, project)];
}

/** Always the release profile: with one profile for building and testing, the sandbox is compiled once. */
function cargo(command, ...args) {
  return ["cargo", command, "--release", "--locked", ...args];
}

/** The commands that install Chromium, if it is missing and can be installed. */
function chromium() {
  if (existsSync(process.env.CHROMIUM ?? "/usr/bin/chromium")) return [];
  const mayInstall = !process.env.CHROMIUM && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (!mayInstall) {
    throw new Error("the page's tests need Chromium: install it (Debian: apt-get install chromium), or name it in CHROMIUM");
  }
  const apt = (...args) => ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args];
  return [apt("update"), apt("install", "--yes", "--no-install-recommends", "chromium", "fonts-liberation")];
}

stopOnSignals();
await main();
