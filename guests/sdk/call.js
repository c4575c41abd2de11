// The call in hand. One instance is one room and calls never overlap, so there is one of it.

import { byteLength, fits } from "./bytes.js";
import { toText } from "./json.js";
import { allowed, LIMITS } from "./limits.js";
import { Error, join, RangeError, TypeError } from "./primordials.js";

/** Between the parts of an effect, and between effects; see `wit/room.wit`. Neither can be in JSON. */
export const PART = "\x1f";
export const END = "\x1e";

/** How the effect of a line of log begins. */
export const LOG = "log" + PART;

/** How the effect that answers a message begins. */
export const REPLY = "reply" + PART;

/**
 * `now` is null while the component is built: the script's top level, its constructor and its fields.
 *
 * What nearly every message needs is in this one object, and in few others. A server with many rooms has none of them in
 * its processor's caches, and there each variable of a module and each function that a call looks at costs as much as some
 * hundred instructions.
 */
export const call = {
  now: null, chance: "",
  /** Whether the last call has changed one of the fields below, or a timer: most do not. */
  used: false,
  /** Whether there is something to refuse, and the reason once it is refused. */
  refusable: false, refused: undefined,
  /** Whether the script has looked at the state or at a player's data, which may have changed since. */
  looked: false,
  effects: [],
  /** Effects so far, without the log's and without the answer; the units of text that all of them still may have. */
  asked: 0, left: 0,
  created: 0, seeded: false, locked: false,
  /** Whether the room was locked before the call: a refusal puts that back. */
  wasLocked: false,
  /** The error of a script that waits for a promise. */
  promised: undefined,
  /** The length of the log: kept, and cut. */
  logged: 0, cut: 0,
};

/** After a call that has left something behind, before the next one. */
export function resetCall() {
  call.used = false;
  call.refusable = false;
  call.refused = undefined;
  call.promised = undefined;
  keepOnly([]);
  call.created = 0;
  call.seeded = false;
  call.wasLocked = call.locked;
  call.logged = 0;
  call.cut = 0;
}

/** Takes back every effect but these lines of log. */
export function keepOnly(lines) {
  call.effects = lines;
  call.asked = 0;
  call.left = allowed.output;
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

/**
 * Asks for an effect, carried out once the call has returned: its name and its parts, with a `PART` before each. The one
 * that `answers` the record is not counted, so that a script cannot take its place.
 */
export function emit(effect, what, answers = false) {
  if (call.now === null) moment(what);
  if (call.asked >= allowed.effects && !answers) {
    throw new RangeError(`${what}: this call has asked for ${allowed.effects} effects, which is all that it may (config.budget.effectsPerRecord)`);
  }
  if (effect.length > call.left) {
    throw new RangeError(`${what}: with these ${effect.length} characters the call asks for more than ${allowed.output} (config.budget.outputKiB)`);
  }
  call.used = true;
  call.left -= effect.length;
  if (!answers) call.asked += 1;
  const { effects } = call;
  effects[effects.length] = effect;
}

/** Closes the log, saying what is not in it. */
export function closeLog() {
  const { effects } = call;
  if (call.cut > 0) effects[effects.length] = `${LOG}warn${PART}(${call.cut} more bytes of log were cut)`;
}

/** All that was asked for, as it leaves. */
export function effectsText() {
  closeLog();
  const { effects } = call;
  return effects.length === 1 ? effects[0] : join(effects, END);
}

/** A message's type as the host takes it. */
export function messageType(type, what) {
  const text = toText(type, what);
  if (text === "" || !fits(text, LIMITS.typeBytes)) {
    throw new TypeError(`${what} has 1 to ${LIMITS.typeBytes} bytes, this one ${byteLength(text)}`);
  }
  return text;
}
