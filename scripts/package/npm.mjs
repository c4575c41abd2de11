// An npm package as a tarball.
//
// A package is staged in a folder that has the paths of this repository, so that its files import each other as they do here, and nothing
// is kept twice. Versions of what it needs are those with which this repository is tested.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Makes the tarball in `out`; its name. `natives`: the packages with the native program that this one may have, of `packNative`. */
export function pack(name, { folder, files, needs, exports = {}, flat = false, readme }, out, natives = []) {
  return staged(name, (stage) => {
    const at = (path) => (flat && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);
    for (const path of files()) cpSync(join(ROOT, path), join(stage, at(path)), { recursive: true });
    cpSync(join(ROOT, readme), join(stage, "README.md"));
    const { private: _, devDependencies, scripts, files: __, ...known } = json(folder, "package.json");
    const manifest = flat ? known : moved(known, `./${folder}/`);
    const dependencies = Object.fromEntries(Object.entries(needs).flatMap(([from, names]) => names.map((need) => [need, json(from, "package.json").devDependencies[need]])));
    if (manifest.exports) manifest.exports = { ...manifest.exports, ...exports };
    const write = (file, value) => writeFileSync(join(stage, file), `${JSON.stringify(value, null, 2)}\n`);
    write("package.json", { ...manifest, dependencies });
    if (Object.keys(dependencies).length > 0) lock(stage);
    if (natives.length > 0) {
      const optionalDependencies = Object.fromEntries(natives.map((native) => [native.name, native.version]));
      write("package.json", { ...manifest, dependencies, optionalDependencies });
      const shrinkwrap = JSON.parse(readFileSync(join(stage, "npm-shrinkwrap.json"), "utf8"));
      shrinkwrap.packages[""].optionalDependencies = optionalDependencies;
      for (const { name: native, file: _, ...entry } of natives) shrinkwrap.packages[`node_modules/${native}`] = { ...entry, optional: true };
      write("npm-shrinkwrap.json", shrinkwrap);
    }
    return packed(stage, out);
  });
}

/**
 * Makes the tarball with a native program, an executable file, for a platform (npm's names: `linux-x64`); what a package that needs it has in its lock file, with
 * the tarball's `name` and `file`.
 */
export function packNative(of, platform, { version, license, repository }, program, out) {
  const name = `${of}-${platform}`;
  const [os, cpu] = platform.split("-");
  const kind = { os: [os], cpu: [cpu], ...(os === "linux" ? { libc: ["glibc"] } : {}) };
  return staged(name, (stage) => {
    cpSync(program, join(stage, "chorus"));
    cpSync(join(ROOT, "LICENSE"), join(stage, "LICENSE"));
    writeFileSync(join(stage, "README.md"), `# ${name}\n\nThe native program of [${of}](https://www.npmjs.com/package/${of}) for ${os} on ${cpu}. It is installed with that package.\n`);
    const manifest = { name, version, description: `The native program of ${of} for ${os} on ${cpu}`, license, repository, ...kind, preferUnplugged: true, files: ["chorus"] };
    writeFileSync(join(stage, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    const file = packed(stage, out);
    const integrity = `sha512-${createHash("sha512").update(readFileSync(join(out, file))).digest("base64")}`;
    return { name, file, version, integrity, license, ...kind };
  });
}

function staged(name, work) {
  const stage = mkdtempSync(join(tmpdir(), `${name}-`));
  try {
    return work(stage);
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

function packed(stage, out) {
  return npm(stage, ["pack", "--silent", "--pack-destination", out]).trim().split("\n").at(-1);
}

function npm(cwd, args) {
  return must(spawnSync("npm", args, { cwd, encoding: "utf8" }), `npm ${args[0]}`);
}

function must({ status, stdout, stderr, error }, what) {
  if (status !== 0) throw new Error(`${what} has failed: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}

export function json(...path) { return JSON.parse(readFileSync(join(ROOT, ...path), "utf8")); }
