// The script's room, its class and its hooks.

import { named } from "./json.js";
import { HOOKS, mustBeSync } from "./manifest.js";
import * as primordials from "./primordials.js";

/** The class that the build was given, the one object of it, and its hooks; from `serve`. */
export const script = { Class: undefined, room: undefined, hooks: undefined, manifest: undefined };

export function hooksOf(room) {
  const found = { view: room.view };
  for (let i = 0; i < HOOKS.length; i++) found[HOOKS[i]] = room[HOOKS[i]];
  const names = primordials.keys(found);
  for (let i = 0; i < names.length; i++) {
    const hook = found[names[i]];
    if (hook === undefined) continue;
    if (typeof hook !== "function") throw new primordials.TypeError(`${names[i]} must be a function, not ${named(hook)}`);
    mustBeSync(hook, names[i]);
  }
  return found;
}

export function callHook(name, ...values) {
  const hook = script.hooks[name];
  return hook === undefined ? undefined : settled(primordials.apply(hook, script.room, values), name);
}

/** Hooks are synchronous: the continuation of a promise would be in no record. */
export function settled(value, what, name) {
  if (typeof value === "object" && value !== null && typeof value.then === "function") throw aPromise(what, name);
  return value;
}

export function aPromise(what, name) {
  const whole = name === undefined ? what : `${what}.${name}`;
  return new primordials.TypeError(`${whole} returned a promise: hooks are synchronous; drop \`async\`, and use this.schedule.after for what comes later`);
}
