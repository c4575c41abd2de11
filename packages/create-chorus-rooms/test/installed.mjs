// The packages of a project as if they were installed: links to this repository, laid out as `scripts/package.mjs` packs them.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

export function installedIn(project) {
  const at = join(project, "node_modules/chorus-rooms");
  mkdirSync(at, { recursive: true });
  for (const folder of ["packages", "guests", "clients", "engine", "wit"]) symlinkSync(join(REPOSITORY, folder), join(at, folder));
  const manifest = readFileSync(join(REPOSITORY, "packages/chorus-rooms/package.json"), "utf8");
  const { exports, ...known } = JSON.parse(manifest.replace(/\.\/(src|bin)\//g, "./packages/chorus-rooms/$1/"));
  writeFileSync(join(at, "package.json"), JSON.stringify({ ...known, exports: { ...exports, "./types": { types: "./guests/sdk/chorus.d.ts" } } }));
  symlinkSync(join(REPOSITORY, "clients/js"), join(project, "node_modules/chorus-client"));
  // As much of @types/node as the tests of templates need: the package is not installed here.
  mkdirSync(join(project, "node_modules/@types/node"), { recursive: true });
  writeFileSync(join(project, "node_modules/@types/node/index.d.ts"), 'declare module "node:test"; declare module "node:assert/strict";');
}
