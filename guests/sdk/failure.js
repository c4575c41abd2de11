// A thrown value as text for the script's author.

import { ABSENT } from "./absent.js";
import { exec, join, replace, slice, split, String, test } from "./primordials.js";

/** The SDK's own frames are among them; readers leave them out. The host cuts what is too long. */
const FRAMES = 8;
/** Characters of a message that leave. The host keeps fewer. */
const MESSAGE_LENGTH = 2_000;
/** The engine's name of the bundle; the host puts the author's files in its place. */
const BUNDLE = /componentize-qjs:user\.js/g;

/** The error's message, its remedy where that is known, and its stack. Any value can be thrown. */
export function failureText(error) {
  try {
    return textOf(error);
  } catch {
    return "threw something that cannot be printed";
  }
}

function textOf(error) {
  if (typeof error !== "object" || error === null) return `threw ${slice(String(error), 0, MESSAGE_LENGTH)}`;
  const text = `${part(error.name ?? "Error")}: ${part(error.message ?? "thrown")}${hint(error)}`;
  const frames = framesOf(error);
  return frames === "" ? text : `${text}\n${frames}`;
}

/** The host would reject a much longer text. */
function part(text) { return slice(`${text}`, 0, MESSAGE_LENGTH); }

function hint(error) {
  const message = part(error.message);
  const missing = exec(/^'?([\w$]+)'? is not defined/, message);
  if (missing !== null && typeof ABSENT[missing[1]] === "string") return `; use instead: ${ABSENT[missing[1]]}`;
  const frozen = /not extensible|read-?only|Cannot assign to|Cannot add property/i;
  if (error.name === "TypeError" && test(frozen, message)) return `; ${SURVIVES}`;
  return "";
}

export const SURVIVES = "only this.state survives; put it there";

function framesOf(error) {
  const lines = typeof error.stack === "string" ? split(error.stack, "\n") : [];
  const frames = [];
  for (let i = 0; i < lines.length && frames.length < FRAMES; i++) {
    if (test(/^\s*at /, lines[i])) frames[frames.length] = replace(slice(lines[i], 0, 160), BUNDLE, "script");
  }
  return join(frames, "\n");
}
