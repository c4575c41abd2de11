// Installs the JavaScript tools: see --help.
//
// `npm ci` runs only where nothing is installed or the lock file has changed since. The hash of the installed lock file is kept
// in node_modules/.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const FOLDERS = ["guests", "clients/js", "chorus/tests", "site"];
/** Only when named: what chorus is compared with. */
const NAMED = ["testing/peers/colyseus"];
const NODE = 20;

const HELP = `Usage: node scripts/setup.mjs [folder …]

Installs the JavaScript tools of these folders by \`npm ci\`, where their lock file has changed; of all folders when none
is named: ${FOLDERS.join(", ")}. Only when named: ${NAMED.join(", ")}.
`;

function main(folders) {
  const known = [...FOLDERS, ...NAMED];
  const unknown = folders.find((folder) => !known.includes(folder));
  if (unknown) return fail(`nothing to set up in ${unknown}; there are: ${known.join(", ")}`);
  const major = Number(process.versions.node.split(".")[0]);
  if (major < NODE) return fail(`Node ${NODE} or newer is needed; this is ${process.versions.node}`);
  if (spawnSync("cargo", ["--version"], { stdio: "ignore" }).error) {
    return fail("`cargo` is not found: install Rust by rustup, and open a new terminal");
  }
  for (const folder of folders.length > 0 ? folders : FOLDERS) if (!install(folder)) return;
}

function install(folder) {
  const path = join(ROOT, folder);
  const lock = createHash("sha256").update(readFileSync(join(path, "package-lock.json"))).digest("hex");
  const stamp = join(path, "node_modules", ".installed-from");
  if (read(stamp) === lock) return true;
  console.log(`installing the JavaScript tools of ${folder}/`);
  const npm = spawnSync("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"], { cwd: path, stdio: ["ignore", "inherit", "inherit"] });
  if (npm.status !== 0) return fail(`npm ci failed in ${folder}/; the reason is above`);
  writeFileSync(stamp, lock);
  return true;
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function fail(why) {
  console.error(`setup: ${why}`);
  process.exitCode = 1;
  return false;
}

main(argumentsOf(HELP, { allowPositionals: true }).positionals);
