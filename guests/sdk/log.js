// The room's log: `this.log`, and `console`, which writes the same.

import { call, LOG, PART } from "./call.js";
import { isPrintable, plain } from "./json.js";
import { LIMITS } from "./limits.js";
import { join, slice, stringify, String } from "./primordials.js";

/** What is kept of the log's length for the line that says how many were cut. */
const NOTE = 64;

function write(level, parts) {
  // While the component is built nobody listens.
  if (call.now === null) return;
  const words = [];
  for (let i = 0; i < parts.length; i++) words[i] = word(parts[i]);
  keep(level, plain(join(words, " ")));
}

/** A line that fits; to log too much is no mistake. A line costs one unit more than its text has. */
function keep(level, text) {
  call.used = true;
  const left = LIMITS.logUnits - NOTE - call.logged - 1;
  if (left < 0) {
    call.cut += text.length + 1;
    return;
  }
  const kept = text.length <= left ? text : plain(slice(text, 0, left));
  call.logged += kept.length + 1;
  call.cut += text.length - kept.length;
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
