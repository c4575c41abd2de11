// Pending timers, counted as the host counts them: by name, among those that have a handler.

import { call, emit, PART } from "./call.js";
import { toJson } from "./json.js";
import { allowed, LIMITS } from "./limits.js";
import { create, hasOwn, join, keys, RangeError, stringify, TypeError } from "./primordials.js";

let handlers = create(null);
let pending = create(null);
let count = 0;
/** The changes of the current call: a name, and whether it was pending. */
let changes = [];

/** Sets the class's handlers. */
export function setTimers(given) { handlers = given; }

/** The handler of a timer that has fired, which is pending no longer. */
export function fired(name) {
  set(name, false);
  return handlers[name];
}

export function restoreTimers(names) {
  pending = create(null);
  count = 0;
  for (let i = 0; i < names.length; i++) if (hasOwn(handlers, names[i])) set(names[i], true);
  changes = [];
}

export function beginTimers() { changes = []; }

/** Undoes what the current call has set and cancelled. */
export function undoTimers() {
  for (let i = changes.length - 1; i >= 0; i--) assign(changes[i].name, changes[i].was);
  changes = [];
}

function set(name, is) {
  const was = pending[name] === true;
  if (was === is) return;
  changes[changes.length] = { name, was };
  call.used = true;
  assign(name, is);
}

function assign(name, is) {
  count += is ? 1 : -1;
  if (is) pending[name] = true;
  else delete pending[name];
}

export const schedule = {
  after(ms, name, data) {
    if (typeof ms !== "number" || !(ms >= 0 && ms <= LIMITS.delayMs)) {
      const given = typeof ms === "number" ? ms : typeof ms === "string" ? stringify(ms) : typeof ms;
      throw new TypeError(`schedule.after(ms, name): ms must be a number, 0 or more and ${LIMITS.delayMs} (ten years) at most, not ${given}`);
    }
    known(name, "schedule.after");
    const payload = toJson(data, "schedule.after: the payload");
    if (pending[name] !== true && count >= allowed.timers) {
      throw new RangeError(`schedule.after: ${count} timers are pending, the most that a room may have (config.budget.timers)`);
    }
    emit("set-timer" + PART + name + PART + ms + PART + payload, "schedule.after");
    set(name, true);
  },

  cancel(name) {
    known(name, "schedule.cancel");
    emit("cancel-timer" + PART + name, "schedule.cancel");
    set(name, false);
  },
};

function known(name, what) {
  if (typeof name === "string" && hasOwn(handlers, name)) return;
  const given = typeof name === "string" ? stringify(name) : typeof name;
  throw new TypeError(`${what}: \`timers\` has no ${given}; it has: ${join(keys(handlers), ", ") || "none"}`);
}
