// Compiles the engine into engine/engine.wasm: see --help. Only this needs a C toolchain; guests are built from its result.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { leb128, readLeb128, section, sections } from "../guests/build/engine.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "chorus", "engine");
const DIGEST = join(HERE, "engine.sha256");

/** QuickJS-ng 0.16.2, as this crate carries it. */
const CRATE = {
  name: "rquickjs-sys",
  version: "0.14.0",
  sha256: "cee271d0eeba64f0915b846cb7ae02e16faf3dfdffdca91731101d9d30fe3423",
};

const HELP = `Usage: node engine/build.mjs [options]

Compiles QuickJS-ng with engine/quickjs.patch and engine/src into engine/engine.wasm, a component of wit/room.wit without a
script in it, and writes its digest to engine/engine.sha256. What it downloads is pinned, checked, and kept in
${CACHE}. It needs cargo, Python 3 with pip, and git.

  --check      compile, and compare with the digest that is committed; nothing is written
  --out FILE   where the engine goes instead; the digest is not written
  --define X   a macro for the compiler; may be repeated: FORCE_GC_AT_MALLOC runs the collector at each allocation
`;

/** Beside `-O3`: the same bytes from any folder, and none of the checks that are for QuickJS's own debugging. */
const FLAGS = ["-target", "wasm32-wasi-musl", "-mexec-model=reactor", "-O3", "-g0", "-fno-strict-aliasing", "-DNDEBUG", "-D_GNU_SOURCE", "-w"];
/** The stack lies below all data: its end is a trap. */
const LINK = ["-Wl,--strip-debug", "-Wl,-z,stack-size=262144"];

async function main() {
  const { values } = parseArgs({
    options: { check: { type: "boolean" }, out: { type: "string" }, define: { type: "string", multiple: true }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) return console.log(HELP);
  mkdirSync(CACHE, { recursive: true });
  const core = compile(quickjs(), values.define ?? []);
  const component = await componentOf(core);
  const digest = sha256(component);
  console.log(`engine: ${(component.length / 1e6).toFixed(2)} MB, ${digest}`);
  if (values.check) {
    if (readFileSync(DIGEST, "utf8").trim() !== digest) throw new Error("this is not the engine that is committed: run `just engine`, and commit engine/engine.wasm and engine/engine.sha256");
  } else if (values.out) {
    writeFileSync(values.out, component);
  } else {
    writeFileSync(join(HERE, "engine.wasm"), component);
    writeFileSync(DIGEST, `${digest}\n`);
  }
}

/** The folder of QuickJS's sources, with our changes. */
function quickjs() {
  const patch = join(HERE, "quickjs.patch");
  const folder = join(CACHE, `quickjs-${sha256(CRATE.sha256, readFileSync(patch)).slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  const crate = vendored(CRATE, unfinished);
  const sources = join(crate, "quickjs");
  run("git", ["apply", patch], { cwd: sources, env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(sources) } });
  renameSync(sources, folder);
  rmSync(unfinished, { recursive: true });
  return folder;
}

/** A crate's sources, as cargo has downloaded and checked them. */
function vendored({ name, version, sha256: wanted }, folder) {
  mkdirSync(join(folder, "src"), { recursive: true });
  writeFileSync(join(folder, "src", "lib.rs"), "");
  writeFileSync(join(folder, "Cargo.toml"), `[package]\nname = "sources"\nedition = "2024"\n[workspace]\n[dependencies]\n${name} = "=${version}"\n`);
  run("cargo", ["vendor", "--quiet", "--versioned-dirs", "vendor"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  const crate = join(folder, "vendor", `${name}-${version}`);
  const { package: found } = JSON.parse(readFileSync(join(crate, ".cargo-checksum.json"), "utf8"));
  if (found !== wanted) throw new Error(`${name} ${version} is not what it was: ${found}`);
  return crate;
}

/** The folder of the compiler's Python package. */
function zig() {
  const wanted = join(HERE, "requirements.txt");
  const folder = join(CACHE, `zig-${sha256(readFileSync(wanted)).slice(0, 16)}`);
  if (!existsSync(folder)) {
    const unfinished = `${folder}.${process.pid}`;
    run("python3", ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", unfinished, "-r", wanted]);
    renameSync(unfinished, folder);
  }
  return folder;
}

/** The engine as a core module, without the initializer of libc: nothing in it needs one, and a snapshot must not run one. */
function compile(sources, defines) {
  const out = join(tmpdir(), `engine-${process.pid}.wasm`);
  const env = {
    ...process.env, PYTHONPATH: zig(),
    ZIG_GLOBAL_CACHE_DIR: join(CACHE, "zig-cache"), ZIG_LOCAL_CACHE_DIR: join(CACHE, "zig-cache"),
  };
  const units = [join(HERE, "src", "engine.c"), ...["libregexp.c", "libunicode.c", "dtoa.c"].map((file) => join(sources, file))];
  const macros = defines.map((name) => `-D${name}`);
  run("python3", ["-m", "ziglang", "cc", ...FLAGS, ...macros, ...LINK, "-I", sources, ...units, "-o", out], { env });
  const core = withoutExport(readFileSync(out), "_initialize");
  rmSync(out);
  return core;
}

function withoutExport(wasm, name) {
  const EXPORTS = 7;
  const parts = sections(wasm).map(({ id, start, end, body }) => (id === EXPORTS ? section(id, exportsWithout(body, name)) : wasm.subarray(start, end)));
  return Buffer.concat([wasm.subarray(0, 8), ...parts]);
}

function exportsWithout(body, name) {
  let at = 0;
  const number = () => {
    const { value, end } = readLeb128(body, at);
    at = end;
    return value;
  };
  const kept = [];
  for (let count = number(); count > 0; count--) {
    const start = at, length = number(), found = body.subarray(at, at + length).toString();
    at += length + 1;
    number();
    if (found !== name) kept.push(body.subarray(start, at));
  }
  return Buffer.concat([leb128(kept.length), ...kept]);
}

/** The component around a core module, from the contract's text. */
async function componentOf(core) {
  installTools();
  const { componentEmbed, componentNew } = await import("@bytecodealliance/jco-transpile/wasm-tools");
  const wit = join(HERE, "..", "wit");
  const [contract, ...others] = readdirSync(wit);
  if (others.length > 0) throw new Error("wit/ has more than one file: give them all to componentEmbed");
  const witSource = readFileSync(join(wit, contract), "utf8");
  const embedded = await componentEmbed({ binary: core, witSource, world: "metered-room", stringEncoding: "utf8" });
  return Buffer.from(await componentNew(embedded));
}

function installTools() {
  const stamp = join(HERE, "node_modules", ".installed-from");
  const lock = sha256(readFileSync(join(HERE, "package-lock.json")));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  run("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"], { cwd: HERE });
  writeFileSync(stamp, lock);
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (error) throw new Error(`\`${command}\` cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`\`${command} ${args.slice(0, 3).join(" ")} …\` failed`);
}

function sha256(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

try {
  await main();
} catch (error) {
  console.error(`engine: ${error.message}`);
  process.exitCode = 1;
}
