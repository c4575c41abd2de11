// The room's log: `this.log`, and `console`, which writes the same.

import { call, LOG, PART } from "./call.js";
import { isPrintable, plain } from "./json.js";
import { LIMITS } from "./limits.js";
import { join, slice, stringify, String } from "./primordials.js";

/** Reserved for the line that reports the cut. */
const CUT_NOTE = 64;

function write(level, parts) {
  // There is no log while the component is built.
  if (call.now === null) return;
  const texts = [];
  for (let i = 0; i < parts.length; i++) texts[i] = textOf(parts[i]);
  keep(level, plain(join(texts, " ")));
}

/** Keeps as much of a line as fits: too long a log is no error. A line costs one unit more than its text has. */
function keep(level, text) {
  call.used = true;
  const left = LIMITS.logUnits - CUT_NOTE - call.logged - 1;
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
function textOf(value) {
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
