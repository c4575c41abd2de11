// Runs a bundled guest's top level as the engine will, but where an error still has a file and a line, and reads its
// manifest, and what the lobby has of it.

import { SourceMap } from "node:module";
import { createContext, runInContext } from "node:vm";

import { Mistake, placeOf } from "./error.mjs";
import { readText, shownPath } from "./sources.mjs";
import { exportsOf, placeOfName } from "./syntax.mjs";

const FILE = "bundle.js";
/** A top level that runs longer is taken to be endless. */
const TIMEOUT_MS = 5_000;

/** `{ manifest, offer, warnings }` of a guest. The manifest of a bare one is not read: a fixture's may be invalid on purpose. */
export function inspect({ bare, script, scriptMap, suspects }, entry, sdk) {
  try {
    const guest = load(script);
    if (bare) return { manifest: undefined, offer: false, warnings: [] };
    const warnings = Array.from(guest.warnings(), (name) => `no hook is called \`${name}\`; it is never called by the room`);
    const [manifest, offer] = JSON.parse(JSON.stringify([guest.describe(), guest.offer()]));
    return { manifest, offer, warnings: warnings.map((text) => at(entry, text)) };
  } catch (error) {
    // A package needs the module that it requires.
    const cause = /\brequire\b/.test(error?.message) ? suspects[0] : undefined;
    throw cause ?? mistake(error, scriptMap, entry, sdk);
  }
}

/**
 * The clock works while a component is built, but its time would be the same in every room. `syntax.mjs` finds direct uses of
 * it; this finds the others.
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

/** Loads a guest in a fresh global scope, without Node's globals. */
function load(script) {
  const context = createContext(Object.create(null));
  runInContext(NO_CLOCK, context);
  return runInContext(`${script}\nguest;`, context, { filename: FILE, timeout: TIMEOUT_MS });
}

/** A mistake at the author's own line: that of the stack, of the class member that the message names, or of the class. */
function mistake(error, map, entry, sdk) {
  const message = wordsOf(error);
  const frame = authorFrame(error, map, sdk);
  if (frame) return new Mistake(shownPath(frame.file), frame, `${message} (while the component is built)`);
  return at(entry, message);
}

function wordsOf(error) {
  // `instanceof` does not work: errors belong to the guest's own global scope.
  if (typeof error?.message !== "string") return `threw ${typeof error === "string" ? JSON.stringify(error) : String(error)} while the component is built`;
  if (error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return `this does not end: the top level has ${TIMEOUT_MS / 1000} seconds`;
  return error.message === "Room is not defined" ? `${error.message}: it needs \`import { Room } from "chorus"\`` : error.message;
}

/** How the SDK's messages name a member of the class. */
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
