// Runs a bundled guest's top level as the componentizer will, where an error still has a file and a line, and asks it
// what it is.

import { SourceMap } from "node:module";
import { createContext, runInContext } from "node:vm";

import { Mistake, placeOf } from "./error.mjs";
import { readText, shownPath } from "./sources.mjs";
import { exportsOf, placeOfName } from "./syntax.mjs";

const FILE = "bundle.js";
/** A top level that takes longer does not end. */
const TIMEOUT_MS = 5_000;

/** `{ manifest, warnings }` of a guest. A bare one's word is not asked for: it may be meant to be nonsense. */
export function inspect({ bare, script, scriptMap, suspects }, entry, sdk) {
  try {
    const guest = load(script);
    if (bare) return { manifest: undefined, warnings: [] };
    const warnings = Array.from(guest.warnings(), (name) => `no hook is called \`${name}\`; it is never called by the room`);
    return { manifest: JSON.parse(JSON.stringify(guest.describe())), warnings: warnings.map((text) => at(entry, text)) };
  } catch (error) {
    // A package could not do without what it asked for.
    const cause = /\brequire\b/.test(error?.message) ? suspects[0] : undefined;
    throw cause ?? mistake(error, scriptMap, entry, sdk);
  }
}

/**
 * There is a clock while a component is built, and what it says would be the same in every room. Where it is asked for
 * in plain sight `syntax.mjs` finds it; this finds the rest.
 */
const NO_CLOCK = `{
  const Real = Date;
  const refuse = () => {
    throw new Error("Date has no meaning while the component is built, and would be the same in every room: use it in onCreate or later");
  };
  globalThis.Date = function Date(...parts) { return new.target && parts.length > 0 ? Reflect.construct(Real, parts, new.target) : refuse(); };
  Date.prototype = Real.prototype;
  Object.assign(Date, { now: refuse, parse: Real.parse, UTC: Real.UTC });
}`;

/** A guest in a fresh global scope, without anything of Node's. */
function load(script) {
  const context = createContext(Object.create(null));
  runInContext(NO_CLOCK, context);
  return runInContext(`${script}\nguest;`, context, { filename: FILE, timeout: TIMEOUT_MS });
}

/** At the author's own line: of the stack, or of the member that the words name, or of the class. */
function mistake(error, map, entry, sdk) {
  const message = wordsOf(error);
  const frame = authorFrame(error, map, sdk);
  if (frame) return new Mistake(shownPath(frame.file), frame, `${message} (while the component is built)`);
  return at(entry, message);
}

function wordsOf(error) {
  // Errors are of the guest's own global scope.
  if (typeof error?.message !== "string") return `threw ${typeof error === "string" ? JSON.stringify(error) : String(error)} while the component is built`;
  if (error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return `this does not end: the top level has ${TIMEOUT_MS / 1000} seconds`;
  return error.message === "Room is not defined" ? `${error.message}: it needs \`import { Room } from "chorus"\`` : error.message;
}

/** How the SDK's words name a member of the class. */
const NAMED = [
  /has no key "(\w+)"/, /static config\.budget\.(\w+)/, /static config\.(\w+)/, /static (\w+)/, /called `(\w+)`/,
  /^(?:timers|messages)\.(.+?) (?:must|is) /, /^this\.(\w+)/, /^(\w+) (?:must|is) /,
];

function at(entry, message) {
  const code = readText(entry);
  for (const pattern of NAMED) {
    const place = placeOfName(code, entry, pattern.exec(message)?.[1]);
    if (place) return new Mistake(shownPath(entry), place, message);
  }
  return new Mistake(shownPath(entry), placeOf(code, exportsOf(code, entry).place), message);
}

function authorFrame(error, map, sdk) {
  const sources = new SourceMap(map);
  const places = String(error?.stack ?? "").matchAll(/bundle\.js:(\d+):(\d+)/g);
  for (const [, line, column] of places) {
    const found = sources.findEntry(Number(line) - 1, Number(column) - 1);
    if (found.originalSource === undefined) continue;
    const file = found.originalSource;
    if (!file.startsWith(sdk)) return { file, line: found.originalLine + 1, column: found.originalColumn + 1 };
  }
  return undefined;
}
