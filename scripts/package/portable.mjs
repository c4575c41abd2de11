// The native program for systems that are older than this one: compiled by Zig's C compiler and linker against an old C library.
//
// A binary runs where the C library is at least as new as the newest symbol that it uses; that of an ordinary build is this machine's. cargo-zigbuild
// links against the symbols of a named version. librdkafka's `configure` does not know of Rust's targets and takes `CC`, so that names Zig, too.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const TOOLS = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "chorus", "tools");

/**
 * By the name of npm's platform. `triple`: Rust's; `glibc`: the oldest C library; `zig`: Zig's name of both.
 * 2.28 is that of Debian 10, RHEL 8 and Node 20's own binaries.
 */
export const TARGETS = {
  "linux-x64": { triple: "x86_64-unknown-linux-gnu", glibc: "2.28", zig: "x86_64-linux-gnu.2.28" },
};

/** Python packages with the tools, pinned by their hashes. */
const WHEELS = [
  "cargo-zigbuild==0.24.1 --hash=sha256:238a1ab54a95053a4eadc34775c81f795a8ad75f80bfed63f3f445f518102375",
  "ziglang==0.15.2 --hash=sha256:806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130",
];
const KEPT = join(TOOLS, "zigbuild-0.24.1-0.15.2");

/** Builds the program for a platform; its path. Takes over 20 minutes of CPU the first time. `target`: cargo's target folder. */
export function buildPortable(platform, target) {
  const { triple, glibc, zig } = TARGETS[platform];
  const python = tools();
  const folder = join(target, "portable");
  const compilers = wrappers(join(folder, "compilers"), python, zig);
  const { CARGO_TARGET_DIR: _, ...inherited } = process.env;
  // zlib is compiled in: not every system has it.
  const env = { ...inherited, ...compilers, CARGO_TARGET_DIR: folder, LIBZ_SYS_STATIC: "1", CARGO_ZIGBUILD_ZIG_PATH: compilers.ZIG };
  must(spawnSync(join(dirname(python), "cargo-zigbuild"), ["zigbuild", "--profile", "dist", "--locked", "-p", "chorus", "--target", `${triple}.${glibc}`], { cwd: ROOT, env, stdio: ["ignore", "inherit", "inherit"] }), "cargo zigbuild");
  const program = join(folder, triple, "dist/chorus");
  const newest = newestSymbol(readFileSync(program));
  if (compare(newest, glibc) > 0) throw new Error(`${program} needs GLIBC_${newest}, which is newer than ${glibc}`);
  console.log(`${platform}: needs glibc ${newest} or newer`);
  return program;
}

/** The newest version of the C library whose symbols a program names; the names of versions are in its string table as they are. */
export function newestSymbol(program) {
  const versions = [...program.toString("latin1").matchAll(/\0GLIBC_(\d+\.\d+(?:\.\d+)?)(?=\0)/g)].map(([, version]) => version);
  return versions.sort(compare).at(-1);
}

function compare(one, other) {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number));
  return a[0] - b[0] || a[1] - b[1] || (a[2] ?? 0) - (b[2] ?? 0);
}

/** The path of a Python with the tools. */
function tools() {
  const python = join(KEPT, "bin/python");
  if (existsSync(python)) return python;
  mkdirSync(TOOLS, { recursive: true });
  must(spawnSync("python3", ["-m", "venv", KEPT], { encoding: "utf8" }), "python3 -m venv");
  const wanted = join(KEPT, "wanted.txt");
  writeFileSync(wanted, `${WHEELS.join("\n")}\n`);
  const pip = spawnSync(python, ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", wanted], { encoding: "utf8" });
  if (pip.status !== 0) rmSync(KEPT, { recursive: true, force: true });
  must(pip, "pip install");
  return python;
}

/** Programs that compile for the target, for what does not know of cargo-zigbuild; as variables. */
function wrappers(folder, python, zig) {
  mkdirSync(folder, { recursive: true });
  const program = (name, args) => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\nexec "${python}" -m ziglang ${args} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  };
  return {
    ZIG: program("zig", ""),
    CC: program("cc", `cc -target ${zig} -fno-sanitize=undefined`),
    CXX: program("c++", `c++ -target ${zig} -fno-sanitize=undefined`),
    AR: program("ar", "ar"),
    RANLIB: program("ranlib", "ranlib"),
  };
}

function must({ status, stdout, stderr, error }, what) {
  if (status !== 0) throw new Error(`${what} has failed: ${error?.message ?? `${stdout ?? ""}${stderr ?? ""}`}`);
}
