// The call in hand. One instance is one room and calls never overlap, so there is one of it.

import { toText } from "./json.js";
import { Error, join } from "./primordials.js";

/** Between the parts of an effect, and between effects; see `wit/room.wit`. Neither can be in JSON. */
export const PART = "\x1f";
export const END = "\x1e";

/** `now` is null while the component is built: the script's top level, its constructor and its fields. */
export const call = { now: null, chance: "", effects: [], created: 0, refusable: false, locked: false, seeded: false };

export function beginCall(now, chance, refusable) {
  call.now = now;
  call.chance = chance;
  call.effects = [];
  call.created = 0;
  call.refusable = refusable;
  call.seeded = false;
}

/** The room's instant; there is none at build time. */
export function moment(what) {
  if (call.now === null) {
    throw new Error(
      `${what} has no meaning while the component is built, and would be the same in every room: use it in onCreate or later`,
    );
  }
  return call.now;
}

/** Asks for an effect, carried out once the call has returned: its name and its parts, with a `PART` before each. */
export function emit(effect) {
  if (call.now === null) moment("an effect");
  call.effects[call.effects.length] = effect;
}

/** All that was asked for, as it leaves. */
export function effectsText() {
  const { effects } = call;
  return effects.length === 1 ? effects[0] : join(effects, END);
}

/** A message's type as the host takes it. */
export function messageType(type, what) {
  const text = toText(type, what);
  if (text.length < 1 || text.length > 64) throw new Error(`${what} has 1 to 64 bytes, this one ${text.length}`);
  return text;
}
