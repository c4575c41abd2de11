// Checks that the files and folders that the maps of this repository name exist: see --help.
//
// A path in a map is a code span with a slash in it, or the target of a link; in a block of text, the word at the beginning of a
// line that ends in a slash. Of a pattern, as in `core/src/*.golden`, the folder is checked.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const MAPS = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

argumentsOf(`Usage: node scripts/paths.mjs

Checks that every path that ${MAPS.join(" and ")} name exists.
`);

/** A relative path: no route, command, version or name in two parts. */
const PATH = /^[\w.@*-]+\/[\w./@*-]*$/;

function pathsIn(text) {
  const blocks = [...text.matchAll(/^```text\n([\s\S]*?)^```/gm)].flatMap(([, block]) => [...block.matchAll(/^([\w./-]+\/) /gm)]);
  const prose = text.replace(/^```[\s\S]*?^```/gm, "");
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].filter(([, span]) => PATH.test(span));
  const links = [...prose.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)];
  return [...blocks, ...spans, ...links].map(([, path]) => path);
}

/** The part before the first name with a `*`. */
function fixedPart(path) {
  return path.includes("*") ? path.slice(0, path.lastIndexOf("/", path.indexOf("*")) + 1) : path;
}

for (const map of MAPS) {
  const missing = new Set(pathsIn(readFileSync(join(ROOT, map), "utf8")).filter((path) => !existsSync(join(ROOT, fixedPart(path)))));
  for (const path of missing) {
    console.error(`${map}: there is no ${path}`);
    process.exitCode = 1;
  }
}
