// The packages of a project as if they were installed: links to this repository, laid out as `scripts/package.mjs` packs them.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

export function installedIn(project) {
  const at = join(project, "node_modules/chorus-rooms");
  mkdirSync(at, { recursive: true });
  for (const folder of ["packages", "guests", "clients", "engine", "wit"]) symlinkSync(join(REPOSITORY, folder), join(at, folder));
  const { exports, bin, ...known } = JSON.parse(readFileSync(join(REPOSITORY, "packages/chorus-rooms/package.json"), "utf8"));
  const moved = JSON.parse(JSON.stringify(exports).replaceAll("./src/", "./packages/chorus-rooms/src/"));
  writeFileSync(join(at, "package.json"), JSON.stringify({ ...known, exports: { ...moved, "./types": { types: "./guests/sdk/chorus.d.ts" } } }));
  symlinkSync(join(REPOSITORY, "clients/js"), join(project, "node_modules/chorus-client"));
}
