// What a script threw, as its author reads it.

import { ABSENT } from "./absent.js";
import { exec, join, replace, slice, split, String, test } from "./primordials.js";

/** The SDK's own are among them; those who show a throw leave them out. What is too long is cut by the host. */
const FRAMES = 8;
/** Characters of a message that leave. The host keeps fewer. */
const WORDS = 2_000;
/** The engine's name of the bundle; the host puts the author's files in its place. */
const BUNDLE = /componentize-qjs:user\.js/g;

/** The error's words, what to do about it where that is known, and where it came from. Anything can be thrown. */
export function failureText(error) {
  try {
    return wordsOf(error);
  } catch {
    return "threw something that cannot be printed";
  }
}

function wordsOf(error) {
  if (typeof error !== "object" || error === null) return `threw ${slice(String(error), 0, WORDS)}`;
  const text = `${part(error.name ?? "Error")}: ${part(error.message ?? "thrown")}${hint(error)}`;
  const frames = framesOf(error);
  return frames === "" ? text : `${text}\n${frames}`;
}

/** More of it than the host keeps would be too much for it to take. */
function part(text) { return slice(`${text}`, 0, WORDS); }

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
