// Conversion of values to the texts that cross to the host.
//
// These run for every message: an error's message is composed only when there is one.

import { byteLength, fits } from "./bytes.js";
import { LIMITS } from "./limits.js";
import { checkPlain } from "./plain.js";
import { charCodeAt, includes, isArray, split, stringify, toWellFormed, TypeError, values } from "./primordials.js";

/** `value` as JSON; `undefined` is null. `what` and `name` are for the error. Half surrogate pairs leave as escapes. */
export function toJson(value, what, name) {
  if (value === undefined) return "null";
  if (typeof value !== "string") checkPlain(value, label(what, name));
  let text;
  try {
    text = stringify(value);
  } catch (cause) {
    const why = `${cause?.message}`;
    throw new TypeError(`${label(what, name)} is not plain JSON data: ${includes(why, "circular") ? "it contains itself" : why}`);
  }
  if (text === undefined) throw new TypeError(`${label(what, name)} is nothing as JSON; it must be plain JSON data`);
  if (text.length >= SHORT && nestsTooDeep(value, text)) throw new TypeError(tooDeep(label(what, name)));
  return text;
}

/** JSON that leaves the room as one record. */
export function toParcel(value, what, most = LIMITS.parcelBytes) {
  const text = toJson(value, what);
  if (!fits(text, most)) {
    throw new TypeError(`${what} has ${byteLength(text)} bytes as JSON; it may have ${most}`);
  }
  return text;
}

function label(what, name) {
  return name === undefined ? what : `${what} ${stringify(name)}`;
}

/** Shorter texts have too few brackets to nest too deeply. */
const SHORT = 2 * (LIMITS.nesting + 1);
/** From this length on, checking the value's parts is quicker than checking its text. */
const LONG = 1_024;

/** Whether arrays and objects nest too deeply in a value that has this text. */
function nestsTooDeep(value, text) {
  if (typeof value !== "object" || value === null || (text.length >= LONG && isFlat(value)) || !hasBrackets(text)) return false;
  return isDeep(value, LIMITS.nesting, true) && textNestsTooDeep(text);
}

/** Whether it is an object around a few texts and numbers, of which the longest messages are. */
function isFlat(value) {
  const parts = values(value);
  if (parts.length > 4 || value.toJSON !== undefined) return false;
  for (let i = 0; i < parts.length; i++) if (typeof parts[i] === "object" && parts[i] !== null) return false;
  return true;
}

/**
 * Whether it has so many that it could nest too deeply; those inside of strings are counted too. An array takes two
 * characters at least, and an object around something six, as `{"":1}` does without the 1: a text that is too short for so
 * many objects needs arrays.
 */
function hasBrackets(text) {
  const arrays = split(text, "[").length - 1;
  if (arrays * 4 < 6 * LIMITS.nesting - text.length) return false;
  return arrays + split(text, "{").length - 1 > LIMITS.nesting;
}

/**
 * Whether an array or object nests in more than `left` others; `unknown` when one has a `toJSON` of its own, so that only
 * its text decides. Goes no deeper than that itself. One part takes as long here as 100 characters in `hasBrackets`.
 */
function isDeep(value, left, unknown) {
  if (left === 0) return true;
  let parts = value;
  if (!isArray(value)) {
    if (value.toJSON !== undefined) return unknown;
    parts = values(value);
  }
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i];
    if (typeof part === "object" && part !== null && isDeep(part, left - 1, unknown)) return true;
  }
  return false;
}

/** Whether it can be printed in little time: that takes as long as the square of how deep a value nests. */
export function isPrintable(value) { return !isDeep(value, LIMITS.nesting, false); }

function textNestsTooDeep(text) {
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

function tooDeep(what) {
  return `${what} nests too deeply: it may have ${LIMITS.nesting} levels of arrays and objects`;
}

/** A string, checked. */
export function toText(value, what) {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${named(value)}`);
  return plain(value);
}

/** A text without half surrogate pairs, which have no encoding. */
export function plain(text) { return toWellFormed(text); }

/** The type of a value, for an error. */
export function named(value) {
  if (value === null || value === undefined) return `${value}`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** A message's type, checked. */
export function messageType(type, what) {
  const text = toText(type, what);
  if (text === "" || !fits(text, LIMITS.typeBytes)) {
    throw new TypeError(`${what} has 1 to ${LIMITS.typeBytes} bytes, this one ${byteLength(text)}`);
  }
  return text;
}
