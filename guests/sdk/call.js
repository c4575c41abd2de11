// The call in hand. One instance is one room and calls never overlap, so there is one of it.

import { toText } from "./json.js";
import { Error } from "./primordials.js";

/** `at` is null while the component is built: the script's top level, its constructor and its fields. */
export const call = { at: null, effects: [], created: 0, refusable: false, locked: false, seeded: false };

export function beginCall(at, refusable) {
  call.at = at;
  call.effects = [];
  call.created = 0;
  call.refusable = refusable;
  call.seeded = false;
}

/** The room's instant; there is none at build time. */
export function moment(what) {
  if (call.at === null) {
    throw new Error(
      `${what} has no meaning while the component is built, and would be the same in every room: use it in onCreate or later`,
    );
  }
  return call.at;
}

/** Asks for an effect, carried out once the call has returned. */
export function emit(tag, val) {
  moment("an effect");
  call.effects[call.effects.length] = { tag, val };
}

/** A message's type as the host takes it. */
export function messageType(type, what) {
  const text = toText(type, what);
  if (text.length < 1 || text.length > 64) throw new Error(`${what} has 1 to 64 bytes, this one ${text.length}`);
  return text;
}
