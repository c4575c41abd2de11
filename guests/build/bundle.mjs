// One guest's files, the SDK and the entry into one module.

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

import { Mistake, Mistakes, NOWHERE } from "./error.mjs";
import { shownPath } from "./sources.mjs";
import { exportsOf, mistakesIn } from "./syntax.mjs";

const SDK = fileURLToPath(new URL("../sdk/", import.meta.url));
const SCRIPT = "chorus:script";
const CONTRACT = ["describe", "open", "handle", "save"];

/** `{ module, script, map }`: as an ES module, and as a plain script with its source map. `bare`: without the SDK. */
export async function bundle(entry) {
  const bare = isBare(entry);
  /** By file: each is loaded once for each output. */
  const found = new Map();
  const mistakes = () => [...found.values()].flat();
  const build = await rolldown({
    input: bare ? entry : `${SDK}entry.js`,
    platform: "neutral",
    // Paths in the bundle are relative to it: they must not depend on where the build was called from.
    cwd: SDK,
    resolve: { mainFields: ["module", "main"], extensions: [".js", ".ts", ".mjs", ".mts", ".json"] },
    plugins: [{ name: "chorus", resolveId: (id) => resolveOurs(id, entry), load: (id) => checked(id, found) }],
    onLog: () => {},
  });
  try {
    const module = await build.generate({ format: "es" });
    const script = await build.generate({ format: "iife", name: "guest", sourcemap: true, sourcemapPathTransform: absolute, exports: "named" });
    if (mistakes().length > 0) throw new Mistakes(mistakes());
    return { bare, module: module.output[0].code, script: script.output[0].code, map: script.output[0].map };
  } catch (error) {
    throw mistakes().length > 0 ? new Mistakes(mistakes()) : bundlerMistakes(error, entry);
  } finally {
    await build.close();
  }
}

/** Whether it speaks the contract itself. */
function isBare(entry) {
  const code = readFileSync(entry, "utf8");
  const shown = shownPath(entry);
  const mistakes = mistakesIn(code, entry, shown);
  if (mistakes.length > 0) throw new Mistakes(mistakes);
  const { names } = exportsOf(code, entry);
  const missing = CONTRACT.filter((name) => !names.has(name));
  if (names.has("default") || names.has("*")) return false;
  if (missing.length === 0) return true;
  const start = { line: 1, column: 1 };
  if (missing.length < CONTRACT.length) {
    const names = missing.map((name) => `\`${name}\``).join(", ");
    const instead = "use instead: `export default class extends Room`, and let the SDK make them";
    throw new Mistake(shown, start, `it does not match wit/room.wit: no export ${names}; ${instead}`);
  }
  const needs = "it needs `import { Room } from \"chorus\"` and `export default class … extends Room { … }`";
  throw new Mistake(shown, start, `no room: ${needs}`);
}

function absolute(source, map) {
  return resolve(dirname(map), source);
}

function resolveOurs(id, entry) {
  if (id === "chorus") return `${SDK}chorus.js`;
  return id === SCRIPT ? entry : undefined;
}

/** An author's file, looked through. */
function checked(id, found) {
  if (id.startsWith(SDK) || id.includes("/node_modules/") || !/\.[mc]?[jt]s$/.test(id)) return undefined;
  const code = readFileSync(id, "utf8");
  found.set(id, mistakesIn(code, id, shownPath(id)));
  return undefined;
}

function bundlerMistakes(error, entry) {
  const causes = error.errors ?? [error];
  return new Mistakes(causes.map((cause) => {
    const file = cause.loc?.file ?? cause.id ?? entry;
    const place = cause.loc ? { line: cause.loc.line, column: cause.loc.column + 1 } : NOWHERE;
    // The rest of the bundler's text is a drawing of the place.
    const text = String(cause.message).replace(/\u001b\[[0-9;]*m/g, "").split("\n")[0].replace(/^\[\w+\] /, "");
    return new Mistake(shownPath(file), place, text);
  }));
}
