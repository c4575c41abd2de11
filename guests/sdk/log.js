// The room's log: `this.log`, and `console`, which writes the same.

import { call } from "./call.js";
import { join, stringify, String, toWellFormed } from "./primordials.js";

function write(level, parts) {
  // While the component is built nobody listens.
  if (call.at === null) return;
  const words = [];
  for (let i = 0; i < parts.length; i++) words[i] = word(parts[i]);
  call.effects[call.effects.length] = { tag: "log", val: { level, text: toWellFormed(join(words, " ")) } };
}

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
