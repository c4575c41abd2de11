// Values to the texts that cross to the host.
//
// These run for every message: an error's words are put together only when there is one.

import { includes, replace, stringify, toWellFormed, TypeError } from "./primordials.js";

/** `value` as JSON; `undefined` is null. `what` and `name` are for the error. Half surrogate pairs leave as escapes. */
export function toJson(value, what, name) {
  if (value === undefined) return "null";
  let text;
  try {
    text = stringify(value);
  } catch (cause) {
    throw new TypeError(`${label(what, name)} is not plain JSON data: ${cause?.message}`);
  }
  if (text === undefined) throw new TypeError(`${label(what, name)} is a ${typeof value}; it must be plain JSON data`);
  return text;
}

function label(what, name) {
  return name === undefined ? what : `${what} ${stringify(name)}`;
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
