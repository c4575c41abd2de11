// Makes what a release consists of: see --help.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { argumentsOf, wrongArguments } from "./arguments.mjs";
import { gzip, tar } from "./package/archive.mjs";
import { image, packagesOf } from "./package/image.mjs";
import { json, pack, packNative, ROOT } from "./package/npm.mjs";
import { buildPortable, TARGETS } from "./package/portable.mjs";
import { sbom } from "./package/sbom.mjs";

const ROOMS = "packages/chorus-rooms", CREATE = "packages/create-chorus-rooms", CLIENT = "clients/js";
const TARGET = process.env.CARGO_TARGET_DIR;
/** The platform of a program that was built here. */
const HERE = `${process.platform}-${process.arch}`;

/** The platform of the container image, and what OCI calls its processor. */
const IMAGE = { platform: "linux-x64", architecture: "amd64" };

const HELP = `Usage: node scripts/package.mjs [--out DIR] [package …]

Makes what a release consists of; or only these npm packages. Nothing is published. The registry is asked for the packages that they need.

  npm packages    as \`npm publish\` would pack them; chorus-rooms with its native program for this platform
  chorus-…tar.gz  the native program
  chorus-…oci.tar the container image, as an OCI archive; made on Debian
  chorus-…cdx.json  the bill of materials, in CycloneDX
  SHA256SUMS      the checksums of all of them

  --out DIR       where they go (default: target/packages)
  --binary FILE   the native program (default: CHORUS_BIN, or that of \`just build\`)
  --no-binary     chorus-rooms without a native program
  --release       builds the native program for all platforms of a release (${Object.keys(TARGETS).join(", ")}), each for
                  old systems, too; needs Python with pip, and the first time 20 minutes of CPU
`;

const clientFiles = () => json(CLIENT, "package.json").files.map((file) => `${CLIENT}/${file}`);

/** Of `npm create`, which `chorus new` is too. */
const createFiles = ["package.json", "src", "templates"].map((file) => `${CREATE}/${file}`).concat("docs/skill");

/**
 * By name: the folder with its `package.json`, what it consists of, and what it needs, by the package here that names the version. `native`: the
 * native program belongs to it, in a package for each platform.
 */
const PACKAGES = {
  "chorus-rooms": {
    folder: ROOMS,
    files: () => [
      `${ROOMS}/bin`, `${ROOMS}/src`, "guests/sdk", "guests/build", "guests/build.mjs", "guests/lobby", "guests/package-lock.json", "engine/engine.wasm", "engine/sdk",
      "wit", ...clientFiles(), `${CLIENT}/package.json`, ...createFiles, "LICENSE",
    ],
    needs: { guests: ["rolldown", "oxc-walker"], [CLIENT]: ["ws"] },
    // Of files that are not in its own folder.
    exports: { "./types": { types: "./guests/sdk/chorus.d.ts" } },
    readme: `${ROOMS}/README.md`,
    native: true,
  },
  "create-chorus-rooms": {
    folder: CREATE,
    files: () => [`${CREATE}/bin`, ...createFiles, `${ROOMS}/src/arguments.mjs`, "LICENSE"],
    needs: {},
    readme: `${CREATE}/README.md`,
  },
  "chorus-client": { folder: CLIENT, files: () => [...clientFiles(), "LICENSE"], needs: {}, flat: true, readme: `${CLIENT}/README.md` },
};

function main() {
  const { values, positionals } = argumentsOf(HELP, {
    allowPositionals: true,
    options: { out: { type: "string" }, binary: { type: "string" }, "no-binary": { type: "boolean" }, release: { type: "boolean" } },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(PACKAGES, name));
  if (unknown) wrongArguments(`there is no package ${unknown}; there are: ${Object.keys(PACKAGES).join(", ")}.`);
  const names = positionals.length > 0 ? positionals : Object.keys(PACKAGES);
  const isWhole = positionals.length === 0;
  const out = resolve(values.out ?? join(ROOT, "target/packages"));
  mkdirSync(out, { recursive: true });
  const made = [];
  const add = (file) => {
    made.push(file);
    console.log(`${join(out, file)}  ${(statSync(join(out, file)).size / 1e6).toFixed(2)} MB`);
  };
  const scratch = mkdtempSync(join(tmpdir(), "chorus-package-"));
  try {
    const programs = names.some((name) => PACKAGES[name].native) ? stripped(programsOf(values), scratch) : {};
    for (const name of names) {
      const natives = PACKAGES[name].native ? nativesOf(name, programs, out) : [];
      for (const { file } of natives) add(file);
      add(pack(name, PACKAGES[name], out, natives));
    }
    if (isWhole && !values["no-binary"]) addRelease(programs, out, add);
    if (isWhole) writeFileSync(join(out, "SHA256SUMS"), made.sort().map((file) => `${createHash("sha256").update(readFileSync(join(out, file))).digest("hex")}  ${file}\n`).join(""));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What is not an npm package. `add`: takes the name of each file that is made in `out`. */
function addRelease(programs, out, add) {
  const { version, license } = json(ROOMS, "package.json");
  const { revision, seconds } = commit();
  const write = (file, bytes) => {
    writeFileSync(join(out, file), bytes);
    add(file);
  };
  for (const [platform, program] of Object.entries(programs)) {
    const files = [{ path: "chorus", bytes: readFileSync(program), mode: 0o755 }, { path: "LICENSE", bytes: readFileSync(join(ROOT, "LICENSE")) }];
    write(`chorus-${version}-${platform}.tar.gz`, gzip(tar(files, seconds)));
  }
  const program = programs[IMAGE.platform];
  if (!program) throw new Error(`the image is of ${IMAGE.platform}, whose native program is not there`);
  const { archive, digest } = image({ program, name: "chorus", version, architecture: IMAGE.architecture, revision, license, seconds });
  write(`chorus-${version}-${IMAGE.platform}.oci.tar`, archive);
  console.log(`  the image: ${digest}`);
  const lock = JSON.parse(execFileSync("tar", ["xzOf", join(out, `chorus-rooms-${version}.tgz`), "package/npm-shrinkwrap.json"], { encoding: "utf8" }));
  const [, quickjs] = /QuickJS-ng (\d+\.\d+\.\d+), as this crate/.exec(readFileSync(join(ROOT, "engine/build.mjs"), "utf8"));
  const materials = sbom({
    root: ROOT, triple: TARGETS[IMAGE.platform].triple, version, license, revision, lock, debian: packagesOf(program), engine: { version: quickjs, license: "MIT" }, seconds,
  });
  write(`chorus-${version}.cdx.json`, JSON.stringify(materials, null, 1));
}

/** The commit and its time, which is that of all files in archives. */
function commit() {
  const git = (...args) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
  const [revision, seconds] = git("log", "-1", "--format=%H %ct").split(" ");
  return { revision: git("status", "--porcelain", "--untracked-files=no") === "" ? revision : `${revision}-changed`, seconds: Number(seconds) };
}

/** Copies without the tables of lines, which are four fifths of a program; its backtraces keep the names of functions. */
function stripped(programs, folder) {
  return Object.fromEntries(Object.entries(programs).map(([platform, program]) => {
    const copy = join(folder, platform);
    const { status, stderr, error } = spawnSync("strip", ["--strip-debug", "-o", copy, program], { encoding: "utf8" });
    if (status !== 0) throw new Error(`strip has failed: ${error?.message ?? stderr}`);
    return [platform, copy];
  }));
}

/** The native programs, by platform. */
function programsOf({ binary, "no-binary": none, release }) {
  if (none) return {};
  if (release) return Object.fromEntries(Object.keys(TARGETS).map((platform) => [platform, buildPortable(platform, TARGET ?? wrongArguments("CARGO_TARGET_DIR is not set: call this as `just package`."))]));
  const program = binary ?? process.env.CHORUS_BIN ?? (TARGET && join(TARGET, "release/chorus"));
  if (!program || !existsSync(program)) wrongArguments(`there is no native program${program ? ` at ${program}` : ""}: \`just build\` makes it, --binary names it, and --no-binary does without.`);
  return { [HERE]: program };
}

function nativesOf(name, programs, out) {
  const manifest = json(PACKAGES[name].folder, "package.json");
  return Object.entries(programs).map(([platform, program]) => packNative(name, platform, manifest, program, out));
}

main();
