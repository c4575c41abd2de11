// The room's log: `this.log`, and `console`, which writes the same.

import { call, keepLine } from "./call.js";
import { isPrintable, plain } from "./json.js";
import { join, stringify, String } from "./primordials.js";

function write(level, parts) {
  // There is no log while the component is built.
  if (call.now === null) return;
  const texts = [];
  for (let i = 0; i < parts.length; i++) texts[i] = textOf(parts[i]);
  keepLine(level, plain(join(texts, " ")));
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
