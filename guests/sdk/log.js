// The room's log: `this.log`, and `console`, which writes the same.

import { call, PART } from "./call.js";
import { plain } from "./json.js";
import { join, stringify, String } from "./primordials.js";

function write(level, parts) {
  // While the component is built nobody listens.
  if (call.now === null) return;
  const words = [];
  for (let i = 0; i < parts.length; i++) words[i] = word(parts[i]);
  call.effects[call.effects.length] = logLine(level, join(words, " "));
}

/** The effect of one line. */
export function logLine(level, text) {
  return LOG + level + PART + plain(text);
}

/** How such an effect begins. */
export const LOG = "log" + PART;

/** Never throws: to log a strange value must not fail a call. */
function word(value) {
  if (typeof value === "string") return value;
  try {
    if (typeof value === "object" && value !== null) {
      return value.stack === undefined ? stringify(value) : `${value.name}: ${value.message}`;
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
