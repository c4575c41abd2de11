// Values to the texts that cross to the host.
//
// These run for every message: an error's words are put together only when there is one.

import { byteLength, fits } from "./bytes.js";
import { LIMITS } from "./limits.js";
import { charCodeAt, includes, isArray, keys, replace, stringify, toWellFormed, TypeError } from "./primordials.js";

/** `value` as JSON; `undefined` is null. `what` and `name` are for the error. Half surrogate pairs leave as escapes. */
export function toJson(value, what, name) {
  if (value === undefined) return "null";
  // Before it is printed: the engine's own recursion ends in a trap.
  const nests = typeof value === "object" && value !== null ? nesting(value, LIMITS.nesting) : SHALLOW;
  if (nests === DEEP) throw new TypeError(tooDeep(value, label(what, name)));
  let text;
  try {
    text = stringify(value);
  } catch (cause) {
    throw new TypeError(`${label(what, name)} is not plain JSON data: ${cause?.message}`);
  }
  if (text === undefined) throw new TypeError(`${label(what, name)} is a ${typeof value}; it must be plain JSON data`);
  if (nests === UNKNOWN && textNestsTooDeep(text)) throw new TypeError(tooDeep(undefined, label(what, name)));
  return text;
}

/** JSON that leaves the room as one record. */
export function toParcel(value, what) {
  const text = toJson(value, what);
  if (!fits(text, LIMITS.parcelBytes)) {
    throw new TypeError(`${what} has ${byteLength(text)} bytes as JSON; it may have ${LIMITS.parcelBytes}`);
  }
  return text;
}

function label(what, name) {
  return name === undefined ? what : `${what} ${stringify(name)}`;
}

// What `nesting` finds. UNKNOWN: some of it is printed by a `toJSON` of its own, so that only the text can tell.
const SHALLOW = 0, UNKNOWN = 1, DEEP = 2;

/** Whether an array or object nests in more than `left` others. Goes no deeper than that itself. */
function nesting(value, left) {
  if (left === 0) return DEEP;
  let found = SHALLOW;
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const one = value[i];
      if (typeof one !== "object" || one === null) continue;
      const nests = nesting(one, left - 1);
      if (nests === DEEP) return DEEP;
      if (nests > found) found = nests;
    }
    return found;
  }
  if (typeof value.toJSON === "function") return UNKNOWN;
  const names = keys(value);
  for (let i = 0; i < names.length; i++) {
    const one = value[names[i]];
    if (typeof one !== "object" || one === null) continue;
    const nests = nesting(one, left - 1);
    if (nests === DEEP) return DEEP;
    if (nests > found) found = nests;
  }
  return found;
}

/** Whether a value may be printed without a trap. */
export function isPrintable(value) {
  return nesting(value, LIMITS.nesting) !== DEEP;
}

function textNestsTooDeep(text) {
  if (text.length <= 2 * LIMITS.nesting) return false;
  let depth = 0, quoted = false;
  for (let i = 0; i < text.length; i++) {
    const unit = charCodeAt(text, i);
    if (unit === 0x22) quoted = !quoted;
    else if (quoted) { if (unit === 0x5c) i++; }
    else if (unit === 0x5b || unit === 0x7b) { if (++depth > LIMITS.nesting) return true; }
    else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return false;
}

function tooDeep(value, what) {
  if (value !== undefined && leadsBack(value, [])) return `${what} is not plain JSON data: it contains itself`;
  return `${what} nests too deeply: it may have ${LIMITS.nesting} levels of arrays and objects`;
}

/** Whether the way down that was too long, the first of them, comes by some object twice. */
function leadsBack(value, way) {
  for (let i = 0; i < way.length; i++) if (way[i] === value) return true;
  if (way.length === LIMITS.nesting) return false;
  way[way.length] = value;
  const names = keys(value);
  for (let i = 0; i < names.length; i++) {
    const one = value[names[i]];
    if (typeof one !== "object" || one === null) continue;
    if (nesting(one, LIMITS.nesting - way.length) === DEEP) return leadsBack(one, way);
  }
  return false;
}

/** A text that is handed out as it is. */
export function toText(value, what) {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${named(value)}`);
  return plain(value);
}

/** What may leave: half a surrogate pair would trap at the boundary, and two characters set effects and their parts apart. */
export function plain(text) {
  const whole = toWellFormed(text);
  return includes(whole, "\x1e") || includes(whole, "\x1f") ? replace(whole, /[\x1e\x1f]/g, " ") : whole;
}

/** What kind of thing a value is, for an error. */
export function named(value) {
  if (value === null || value === undefined) return `${value}`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
