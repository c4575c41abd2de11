// The room's timers: `this.schedule`, and the handlers of those that fire.

import { emit } from "./call.js";
import { toJson } from "./json.js";
import { allowed, LIMITS } from "./limits.js";
import { isPending, openTimers, pendingCount, setPending } from "./pending.js";
import { create, hasOwn, join, keys, RangeError, stringify, TypeError } from "./primordials.js";

let handlers = create(null);

/** Sets the class's handlers. */
export function setTimers(given) { handlers = given; }

/** The handler of a timer that has fired, which is pending no longer. */
export function fired(name) {
  setPending(name, false);
  return handlers[name];
}

/** Those that no longer have a handler will not fire. */
export function restoreTimers(names) {
  const known = [];
  for (let i = 0; i < names.length; i++) if (hasOwn(handlers, names[i])) known[known.length] = names[i];
  openTimers(known);
}

export const schedule = {
  after(ms, name, data) {
    if (typeof ms !== "number" || !(ms >= 0 && ms <= LIMITS.delayMs)) {
      const given = typeof ms === "number" ? ms : typeof ms === "string" ? stringify(ms) : typeof ms;
      throw new TypeError(`schedule.after(ms, name): ms must be a number, 0 or more and ${LIMITS.delayMs} (ten years) at most, not ${given}`);
    }
    known(name, "schedule.after");
    const payload = toJson(data, "schedule.after: the payload");
    if (!isPending(name) && pendingCount() >= allowed.timers) {
      throw new RangeError(`schedule.after: ${pendingCount()} timers are pending, the most that a room may have (config.budget.timers)`);
    }
    emit("set-timer", [name, ms, payload], "schedule.after");
    setPending(name, true);
  },

  cancel(name) {
    known(name, "schedule.cancel");
    emit("cancel-timer", [name], "schedule.cancel");
    setPending(name, false);
  },
};

function known(name, what) {
  if (typeof name === "string" && hasOwn(handlers, name)) return;
  const given = typeof name === "string" ? stringify(name) : typeof name;
  throw new TypeError(`${what}: \`timers\` has no ${given}; it has: ${join(keys(handlers), ", ") || "none"}`);
}
