// Makes the npm packages into tarballs: see --help.
//
// A package is staged in a folder that has the paths of this repository, so that its files import each other as they do here, and nothing
// is kept twice. Versions of what it needs are those with which this repository is tested.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf, wrongArguments } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const ROOMS = "packages/chorus-rooms", CLIENT = "clients/js";

const HELP = `Usage: node scripts/package.mjs [--out DIR] [package …]

Makes tarballs of the npm packages, as \`npm publish\` would: chorus-rooms, chorus-client. Nothing is published. The registry is asked
for the packages that they need.

  --out DIR   where they go (default: target/packages)
`;

const clientFiles = () => json(CLIENT, "package.json").files.map((file) => `${CLIENT}/${file}`);

/** By name: the folder with its `package.json`, what it consists of, and what it needs, by the package here that names the version. */
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
  },
  "chorus-client": { folder: CLIENT, files: () => [...clientFiles(), "LICENSE"], needs: {}, flat: true, readme: `${CLIENT}/README.md` },
};

function main() {
  const { values, positionals } = argumentsOf(HELP, { allowPositionals: true, options: { out: { type: "string" } } });
  const unknown = positionals.find((name) => !Object.hasOwn(PACKAGES, name));
  if (unknown) wrongArguments(`there is no package ${unknown}; there are: ${Object.keys(PACKAGES).join(", ")}.`);
  const out = resolve(values.out ?? join(ROOT, "target/packages"));
  mkdirSync(out, { recursive: true });
  for (const name of positionals.length > 0 ? positionals : Object.keys(PACKAGES)) {
    const file = join(out, packed(name, PACKAGES[name], out));
    console.log(`${file}  ${(statSync(file).size / 1e6).toFixed(2)} MB`);
  }
}

/** The name of the tarball. */
function packed(name, { folder, files, needs, exports = {}, flat = false, readme }, out) {
  const stage = mkdtempSync(join(tmpdir(), `${name}-`));
  try {
    const at = (path) => (flat && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);
    for (const path of files()) cpSync(join(ROOT, path), join(stage, at(path)), { recursive: true });
    cpSync(join(ROOT, readme), join(stage, "README.md"));
    const { private: _, devDependencies, scripts, files: __, ...known } = json(folder, "package.json");
    const manifest = flat ? known : moved(known, `./${folder}/`);
    const dependencies = Object.fromEntries(Object.entries(needs).flatMap(([from, names]) => names.map((need) => [need, json(from, "package.json").devDependencies[need]])));
    if (manifest.exports) manifest.exports = { ...manifest.exports, ...exports };
    writeFileSync(join(stage, "package.json"), `${JSON.stringify({ ...manifest, dependencies }, null, 2)}\n`);
    if (Object.keys(dependencies).length > 0) lock(stage);
    return npm(stage, ["pack", "--silent", "--pack-destination", out]).trim().split("\n").at(-1);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** The whole tree of what it needs is pinned, by versions and hashes, and without the address of a registry. */
function lock(stage) {
  npm(stage, ["install", "--package-lock-only", "--omit-lockfile-registry-resolved", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
  const path = join(stage, "package-lock.json");
  if (readFileSync(path, "utf8").includes('"resolved": "http')) throw new Error("the lock file names a registry");
  renameSync(path, join(stage, "npm-shrinkwrap.json"));
}

/** A manifest whose own paths begin in another folder. */
function moved(value, folder) {
  if (typeof value === "string") return value.startsWith("./") && value !== "./package.json" ? folder + value.slice(2) : value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, moved(one, folder)]));
}

function npm(cwd, args) {
  const { status, stdout, stderr, error } = spawnSync("npm", args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ${args[0]} has failed: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}

function json(...path) { return JSON.parse(readFileSync(join(ROOT, ...path), "utf8")); }

main();
