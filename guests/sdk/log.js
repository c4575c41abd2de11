// The room's log: `this.log`, and `console`, which writes the same.

import { byteLength, fits } from "./bytes.js";
import { call, LOG, PART } from "./call.js";
import { isPrintable, plain } from "./json.js";
import { LIMITS } from "./limits.js";
import { join, slice, stringify, String } from "./primordials.js";

/** Of the log's bytes, those that are kept for the line that says how many were cut. */
const NOTE = 64;

function write(level, parts) {
  // While the component is built nobody listens.
  if (call.now === null) return;
  const words = [];
  for (let i = 0; i < parts.length; i++) words[i] = word(parts[i]);
  keep(level, plain(join(words, " ")));
}

/** A line that fits; to log too much is no mistake. A line costs one byte more than its text has. */
function keep(level, text) {
  const left = LIMITS.logBytes - NOTE - call.logged - 1;
  if (left < 0) {
    call.cut += byteLength(text) + 1;
    return;
  }
  // A third of what is left has no more bytes than that, whatever it consists of.
  const kept = fits(text, left) ? text : plain(slice(text, 0, text.length === byteLength(text) ? left : left / 3));
  call.logged += byteLength(kept) + 1;
  call.cut += byteLength(text) - byteLength(kept);
  call.effects[call.effects.length] = logLine(level, kept);
}

/** The effect of one line. */
export function logLine(level, text) {
  return LOG + level + PART + plain(text);
}

/** Never throws: to log a strange value must not fail a call. */
function word(value) {
  if (typeof value === "string") return value;
  try {
    if (typeof value === "object" && value !== null) {
      if (value.stack !== undefined) return `${value.name}: ${value.message}`;
      return isPrintable(value) ? stringify(value) : "(an object that nests too deeply)";
    }
    return String(value);
  } catch {
    return `(an unprintable ${typeof value})`;
  }
}

const at = (level) => (...parts) => write(level, parts);

export const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };

export const console = {
  ...log,
  log: log.info,
  trace: log.debug,
  dir: log.info,
  assert: (holds, ...parts) => { if (!holds) write("error", ["assertion failed:", ...parts]); },
};
