// Pending timers, counted as the host counts them: by name, among those that have a handler.

import { call } from "./call.js";
import { create } from "./primordials.js";

let pending = create(null);
let count = 0;
/** The changes of the current call: a name, and whether it was pending. */
let changes = [];

export function isPending(name) { return pending[name] === true; }

export function pendingCount() { return count; }

/** `names`: those that are pending as the room is opened. */
export function openTimers(names) {
  pending = create(null);
  count = 0;
  for (let i = 0; i < names.length; i++) setPending(names[i], true);
  changes = [];
}

export function beginTimers() { changes = []; }

/** Undoes what the current call has set and cancelled. */
export function undoTimers() {
  for (let i = changes.length - 1; i >= 0; i--) assign(changes[i].name, changes[i].was);
  changes = [];
}

export function setPending(name, is) {
  const was = isPending(name);
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
