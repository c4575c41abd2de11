// Makes what a release consists of: see --help.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

import { argumentsOf, wrongArguments } from "./arguments.mjs";
import { json, pack, packNative, ROOT } from "./package/npm.mjs";
import { buildPortable, TARGETS } from "./package/portable.mjs";

const ROOMS = "packages/chorus-rooms", CLIENT = "clients/js";
const TARGET = process.env.CARGO_TARGET_DIR;
/** The platform of a program that was built here. */
const HERE = `${process.platform}-${process.arch}`;

const HELP = `Usage: node scripts/package.mjs [--out DIR] [package …]

Makes tarballs of the npm packages, as \`npm publish\` would: chorus-rooms with its native program for this platform, chorus-client.
Nothing is published. The registry is asked for the packages that they need.

  --out DIR       where they go (default: target/packages)
  --binary FILE   the native program (default: CHORUS_BIN, or that of \`just build\`)
  --no-binary     chorus-rooms without a native program
  --release       builds the native program for all platforms of a release (${Object.keys(TARGETS).join(", ")}), each for
                  old systems, too; needs Python with pip, and the first time a quarter of an hour of CPU
`;

const clientFiles = () => json(CLIENT, "package.json").files.map((file) => `${CLIENT}/${file}`);

/**
 * By name: the folder with its `package.json`, what it consists of, and what it needs, by the package here that names the version. `native`: the
 * native program belongs to it, in a package for each platform.
 */
const PACKAGES = {
  "chorus-rooms": {
    folder: ROOMS,
    files: () => [
      `${ROOMS}/bin`, `${ROOMS}/src`, "guests/sdk", "guests/build", "guests/build.mjs", "guests/lobby", "guests/package-lock.json", "engine/engine.wasm", "engine/sdk",
      "wit", ...clientFiles(), `${CLIENT}/package.json`, "LICENSE",
    ],
    needs: { guests: ["rolldown", "oxc-walker"], [CLIENT]: ["ws"] },
    // Of files that are not in its own folder.
    exports: { "./types": { types: "./guests/sdk/chorus.d.ts" } },
    readme: `${ROOMS}/README.md`,
    native: true,
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
  const programs = names.some((name) => PACKAGES[name].native) ? programsOf(values) : {};
  const out = resolve(values.out ?? join(ROOT, "target/packages"));
  mkdirSync(out, { recursive: true });
  const made = (file) => console.log(`${join(out, file)}  ${(statSync(join(out, file)).size / 1e6).toFixed(2)} MB`);
  for (const name of names) {
    const natives = PACKAGES[name].native ? nativesOf(name, programs, out) : [];
    for (const { file } of natives) made(file);
    made(pack(name, PACKAGES[name], out, natives));
  }
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
