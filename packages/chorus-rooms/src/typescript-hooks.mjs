// Hooks of Node's module loader for a project's own TypeScript: `import` takes it as it takes JavaScript, on each Node alike, also where Node
// leaves types out by itself. A file that has no extension in an import is found as in a room. Packages are as Node has them.

import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { isTypeScript, javascriptOf } from "../../../guests/build/typescript.mjs";

const PACKAGED = "/node_modules/";
/** As the build of rooms tries them. */
const EXTENSIONS = [".js", ".ts", ".mjs", ".mts"];

export function resolve(specifier, context, next) { return next(complete(specifier, context.parentURL), context); }

export function load(url, context, next) {
  if (!url.startsWith("file:") || url.includes(PACKAGED)) return next(url, context);
  const path = fileURLToPath(url);
  if (!isTypeScript(path)) return next(url, context);
  return { format: "module", source: javascriptOf(readFileSync(path, "utf8"), path), shortCircuit: true };
}

function complete(specifier, parent) {
  if (!/^\.\.?\//.test(specifier) || !parent?.startsWith("file:") || parent.includes(PACKAGED)) return specifier;
  if (isFile(new URL(specifier, parent))) return specifier;
  const extension = EXTENSIONS.find((one) => isFile(new URL(`${specifier}${one}`, parent)));
  return extension === undefined ? specifier : `${specifier}${extension}`;
}

function isFile(url) { return statSync(fileURLToPath(url), { throwIfNoEntry: false })?.isFile() === true; }
