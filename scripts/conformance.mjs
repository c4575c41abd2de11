// The field's WebSocket conformance suite (Autobahn), against the edge's real connections: `just conformance`, or
// `node scripts/conformance.mjs --help`.
//
// It runs the edge's example `echo`, which is built with the feature `conformance`: without sessions, it sends every message
// back. No other binary has this feature.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const CACHE = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(CACHE, "chorus", "target");
const SUITE = "autobahntestsuite==25.10.1";
const SITE = join(CACHE, "chorus", "conformance");

const HELP = `Usage: node scripts/conformance.mjs [options]

Runs ${SUITE} against the edge. It needs Python 2.7 with pip; what it needs of PyPI is installed to
${SITE}. Takes about three minutes.

  --cases a,b       some cases, as the suite numbers them: 1.*, 5.19 (default: all that apply)
  --report DIR      keeps the suite's report here
  --python FILE     the Python 2.7 [env: CHORUS_PYTHON2] (default: python2.7 on the PATH, or one of pyenv's)
`;

/** The cases that do not apply, with the reason. */
const EXCLUDED = {
  "9.*": "messages up to 16 MiB: a message has at most 64 KiB here; those of the group that are not larger are run",
  "12.*": "compression, which is not offered",
  "13.*": "compression, which is not offered",
};
const INCLUDED = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.2.1", "9.7.*", "9.8.*", "10.*"];

/**
 * The accepted results of a case: for the connection's behavior, and for its close. The edge closes with its own code 4506
 * (docs/protocol.md) where the suite expects 1002 or 1007.
 */
const GOOD = ["OK", "NON-STRICT", "INFORMATIONAL"];
const GOOD_ENDS = ["OK", "INFORMATIONAL", "WRONG CODE"];
const OWN_CODE = 4506;

const { values: flags } = argumentsOf(HELP, {
  options: { cases: { type: "string" }, report: { type: "string" }, python: { type: "string", default: process.env.CHORUS_PYTHON2 } },
});

async function main() {
  const python = findPython();
  installSuite(python);
  const server = await startEcho();
  const report = flags.report ?? mkdtempSync(join(tmpdir(), "chorus-conformance-"));
  try {
    await runSuite(python, server.address, report);
    printResults(report);
  } finally {
    server.child.kill();
    if (!flags.report) rmSync(report, { recursive: true, force: true });
  }
}

class Missing extends Error {}

function findPython() {
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions");
  const versions = existsSync(pyenv) ? readdirSync(pyenv).filter((name) => name.startsWith("2.7")) : [];
  const candidates = flags.python ? [flags.python] : ["python2.7", ...versions.map((name) => join(pyenv, name, "bin", "python2.7"))];
  const isIt = (program) => spawnSync(program, ["-c", "import sys, ssl, pip; sys.exit(sys.version_info[:2] != (2, 7))"], { stdio: "ignore" }).status === 0;
  const found = candidates.find(isIt);
  if (found) return found;
  throw new Missing(
    `the suite needs Python 2.7 with pip and ssl, and ${flags.python ? `${flags.python} is none` : "there is none here"}. ` +
      "Most systems do not package it any more: `pyenv install 2.7.18` builds it; then name it by --python, or CHORUS_PYTHON2.",
  );
}

function installSuite(python) {
  const stamp = join(SITE, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === SUITE) return;
  console.log(`installing ${SUITE}`);
  rmSync(SITE, { recursive: true, force: true });
  const pip = spawnSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", SITE, SUITE], { encoding: "utf8" });
  if (pip.status !== 0) throw new Missing(`${SUITE} cannot be installed by pip:\n${pip.stderr}`);
  writeFileSync(stamp, SUITE);
}

async function startEcho() {
  // With the binary's features, so that its compiled crates are reused.
  const packages = ["-p", "chorus", "-p", "chorus-edge", "--features", "chorus-edge/conformance", "--example", "echo"];
  const built = spawnSync("cargo", ["build", "--release", "--locked", ...packages], { cwd: ROOT, stdio: "inherit", env: { ...process.env, CARGO_TARGET_DIR: TARGET } });
  if (built.status !== 0) throw new Missing("the edge's echo does not build; the reason is above");
  const echo = join(TARGET, "release", "examples", "echo");
  // A test checks that the real binary does not contain this mark (chorus/tests/e2e/process.test.mjs): here it must be found.
  const [, mark] = readFileSync(join(ROOT, "edge", "src", "echo.rs"), "utf8").match(/pub const MARK: &str = "(.+)";/) ?? [];
  if (!mark || !readFileSync(echo).includes(mark)) throw new Error("the echo does not contain its mark");
  const child = spawn(echo, { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  for await (const line of createInterface({ input: child.stdout })) {
    const [, address] = line.match(/ws:\/\/(\S+)\//) ?? [];
    if (address) {
      child.stdout.resume();
      return { child, address };
    }
  }
  throw new Error("the echo ended before it had an address");
}

async function runSuite(python, address, report) {
  const cases = flags.cases?.split(",") ?? INCLUDED;
  const spec = join(report, "spec.json");
  const server = { agent: "chorus", url: `ws://${address}/ws`, options: { version: 18 } };
  writeFileSync(spec, JSON.stringify({ outdir: report, servers: [server], cases, "exclude-cases": [], "exclude-agent-cases": {} }));
  // As a site directory: some packages are found only through the .pth files that pip wrote.
  const run = `import site; site.addsitedir(${JSON.stringify(SITE)}); from autobahntestsuite.wstest import run; run()`;
  const suite = spawn(python, ["-c", run, "-m", "fuzzingclient", "-s", spec], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  suite.stderr.setEncoding("utf8").on("data", (piece) => { errors = (errors + piece).slice(-8192); });
  const code = await new Promise((resolve) => suite.once("close", resolve));
  if (code !== 0 || !existsSync(join(report, "index.json"))) throw new Error(`the suite ended with ${code}:\n${errors}`);
}

function printResults(report) {
  const results = Object.entries(JSON.parse(readFileSync(join(report, "index.json"), "utf8")).chorus);
  const ended = ({ behaviorClose, remoteCloseCode }) => GOOD_ENDS.includes(behaviorClose) && (behaviorClose !== "WRONG CODE" || remoteCloseCode === OWN_CODE);
  const behaved = (result) => GOOD.includes(result.behavior) || failsByCode(report, result);
  const failed = results.filter(([, result]) => !behaved(result) || !ended(result));
  const count = (of) => results.filter(([, { behavior }]) => behavior === of).length;
  for (const [name, { behavior, behaviorClose, remoteCloseCode }] of failed) {
    console.log(`  ${name}: ${behavior}; its end: ${behaviorClose}, code ${remoteCloseCode}`);
  }
  if (!flags.cases) for (const [cases, why] of Object.entries(EXCLUDED)) console.log(`  not run: ${cases}: ${why}`);
  const own = results.filter(([, { remoteCloseCode }]) => remoteCloseCode === OWN_CODE).length;
  console.log(`${GOOD.map((of) => `${count(of)} ${of.toLowerCase()}`).join(", ")}; ${own} ended with ${OWN_CODE}`);
  console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
  if (failed.length > 0 || results.length === 0) process.exitCode = 1;
}

/** Some cases report an unexpected close code as a failure of the whole case. */
function failsByCode(report, { behavior, behaviorClose, reportfile }) {
  if (behavior !== "FAILED" || behaviorClose !== "WRONG CODE") return false;
  const { result, resultClose } = JSON.parse(readFileSync(join(report, reportfile), "utf8"));
  return result === resultClose;
}

await main().catch((error) => {
  console.error(`conformance: ${error instanceof Missing ? error.message : error.stack}`);
  process.exitCode = 1;
});
