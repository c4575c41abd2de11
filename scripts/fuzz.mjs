// Fuzzes the decoders: `just fuzz`, or `node scripts/fuzz.mjs --help`. The targets are described in fuzz/README.md.
//
// The corpora in fuzz/corpus are text, so that they merge: an input in hexadecimal digits a line. They are unpacked for
// libFuzzer, and what is new and small goes back. A line that begins with `!` is an input that has found a fault: it stays.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf, wrongArguments } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const CORPUS = join(ROOT, "fuzz", "corpus");
const TARGET = join(process.env.CARGO_TARGET_DIR ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "chorus", "target"), "fuzz");

/** Instruments all code for libFuzzer, as cargo-fuzz does; these options of rustc are stable. */
const RUSTFLAGS = [
  "--cfg fuzzing",
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
].join(" ");

/** The largest inputs that libFuzzer makes: most decoders refuse larger ones, and small ones are tried faster. */
const MAX_INPUT = 8 * 1024;

/** What is kept of a target's corpus beside the faults found, in bytes: the smallest inputs. */
const MAX_KEPT = 32 * 1024;

/** A slower input is a fault, as is one that needs more memory. */
const LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=512"];

const HELP = `Usage: node scripts/fuzz.mjs [target …] [options]

Fuzzes these targets one after the other, \`core/client-frame\` or all of a crate by \`core\`; without a name, all. What is new
in their corpora is kept in fuzz/corpus, and so is an input that finds a fault. Exit code 1: a fault was found.

  --minutes N   how long each target runs (default: 1)
  --seconds N   the same in seconds
  --no-keep     leaves fuzz/corpus as it is, but for inputs that find a fault
  --list        prints the targets

Targets: ${all().map(({ name }) => name).join(", ")}
`;

const { values: flags, positionals } = argumentsOf(HELP, {
  allowPositionals: true,
  numbers: ["minutes", "seconds"],
  options: {
    minutes: { type: "string", default: "1" },
    seconds: { type: "string" },
    "no-keep": { type: "boolean" },
    list: { type: "boolean" },
  },
});

function all() {
  const crates = readdirSync(CORPUS).sort();
  return crates.flatMap((crate) =>
    readdirSync(join(CORPUS, crate))
      .sort()
      .map((file) => ({ crate, target: basename(file, ".hex"), name: `${crate}/${basename(file, ".hex")}`, file: join(CORPUS, crate, file) })),
  );
}

function main() {
  const targets = chosen();
  if (flags.list) return console.log(targets.map(({ name }) => name).join("\n"));
  const seconds = Number(flags.seconds ?? Number(flags.minutes) * 60);
  const programs = new Map(unique(targets.map(({ crate }) => crate)).map((crate) => [crate, build(crate)]));
  const failed = targets.filter((target) => !fuzz(target, programs.get(target.crate), seconds));
  if (failed.length > 0) {
    console.error(`fuzz: faults in ${failed.map(({ name }) => name).join(", ")}: the inputs are in fuzz/corpus, the lines with "!"`);
    process.exitCode = 1;
  }
}

function chosen() {
  const known = all();
  const unknown = positionals.find((name) => !known.some((target) => target.name === name || target.crate === name));
  if (unknown) wrongArguments(`${unknown} is no target`);
  return known.filter(({ name, crate }) => positionals.length === 0 || positionals.includes(name) || positionals.includes(crate));
}

function unique(items) {
  return [...new Set(items)];
}

/** The program of a crate's targets. */
function build(crate) {
  const host = execFileSync("rustc", ["-vV"], { encoding: "utf8" }).match(/^host: (.*)$/m)[1];
  // With a target, programs of the build itself are not instrumented.
  const args = ["build", "--release", "--target", host, "--features", crate, "--bin", crate];
  const env = { ...process.env, RUSTFLAGS, CARGO_TARGET_DIR: TARGET };
  const { status } = spawnSync("cargo", args, { cwd: join(ROOT, "fuzz"), env, stdio: "inherit" });
  if (status !== 0) process.exit(1);
  return join(TARGET, host, "release", crate);
}

/** Runs libFuzzer on a target. Returns whether it has found no fault. */
function fuzz({ crate, target, name, file }, program, seconds) {
  const work = join(TARGET, "corpus", crate, target);
  const found = join(TARGET, "found", crate, target);
  rmSync(found, { recursive: true, force: true });
  for (const dir of [work, found]) mkdirSync(dir, { recursive: true });
  const stored = read(file);
  for (const { input } of stored) writeFileSync(join(work, nameOf(input)), input);
  const started = Date.now();
  const args = [`-max_total_time=${seconds}`, `-max_len=${MAX_INPUT}`, `-dict=${join(ROOT, "fuzz", "words.dict")}`, ...LIMITS];
  const { status, log } = libFuzzer(program, target, [...args, `-artifact_prefix=${found}/`, "-print_final_stats=1", work]);
  const executions = log.match(/stat::number_of_executed_units:\s+(\d+)/)?.[1] ?? "?";
  const coverage = [...log.matchAll(/cov: (\d+)/g)].at(-1)?.[1] ?? "?";
  const faults = readdirSync(found).map((artifact) => readFileSync(join(found, artifact)));
  const result = status === 0 ? "no fault" : `FAULT (exit code ${status})`;
  console.log(`${name}: ${Math.round((Date.now() - started) / 1000)} s, ${executions} executions, coverage ${coverage}: ${result}`);
  if (status !== 0) console.log(log.split("\n").slice(-60).join("\n"));
  const kept = stored.filter(({ isFault }) => isFault).concat(faults.map((input) => ({ input, isFault: true })));
  const others = flags["no-keep"] || status !== 0 ? stored.filter(({ isFault }) => !isFault) : smallest(program, target, work);
  write(file, [...kept, ...others]);
  return status === 0;
}

function libFuzzer(program, target, args) {
  const env = { ...process.env, CHORUS_FUZZ_TARGET: target };
  const { status, stderr } = spawnSync("nice", ["-n", "19", program, ...args], { env, encoding: "utf8", stdio: ["ignore", "ignore", "pipe"], maxBuffer: 1 << 30 });
  return { status, log: stderr };
}

/** A corpus with the same coverage, of few inputs; then the smallest of these. The others stay in the build directory. */
function smallest(program, target, work) {
  const merged = `${work}.merged`;
  rmSync(merged, { recursive: true, force: true });
  mkdirSync(merged);
  libFuzzer(program, target, ["-merge=1", `-max_len=${MAX_INPUT}`, ...LIMITS, merged, work]);
  const inputs = readdirSync(merged).map((name) => readFileSync(join(merged, name)));
  rmSync(work, { recursive: true });
  mkdirSync(work);
  for (const input of inputs) writeFileSync(join(work, nameOf(input)), input);
  rmSync(merged, { recursive: true });
  let size = 0;
  const bySize = inputs.sort((a, b) => a.length - b.length || a.compare(b));
  return bySize.filter((input) => (size += input.length) <= MAX_KEPT).map((input) => ({ input, isFault: false }));
}

function nameOf(input) {
  return createHash("sha1").update(input).digest("hex");
}

function read(file) {
  const lines = readFileSync(file, "utf8").split("\n").filter((line) => line !== "");
  return lines.map((line) => ({ isFault: line.startsWith("!"), input: Buffer.from(line.replace("!", ""), "hex") }));
}

function write(file, inputs) {
  const lines = inputs.filter(({ input }) => input.length > 0).map(({ input, isFault }) => (isFault ? "!" : "") + input.toString("hex"));
  writeFileSync(file, unique(lines).map((line) => `${line}\n`).join(""));
}

main();
