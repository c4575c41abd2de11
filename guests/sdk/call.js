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

/** `now` is null while the component is built: the script's top level, its constructor and its fields. */
export const call = {
  now: null, chance: "", effects: [], created: 0, locked: false, seeded: false,
  /** Whether there is something to refuse, and the reason once it is refused. */
  refusable: false, refused: undefined,
  /** The error of a script that waits for a promise. */
  promised: undefined,
  /** The length of the log: kept, and cut. */
  logged: 0, cut: 0,
  /** Set by all that changes what is reset in `resetRest`, or a timer: most calls do neither. */
  rest: false,
};

/** Effects without the log's, and without the answer; and the length of their texts, the answer's with them. */
let asked = 0, units = 0;

/** Whether `call.rest` was set. Every property counts here: this runs for every message. */
export function beginCall(now, chance, refusable) {
  call.now = now;
  call.chance = chance;
  call.refusable = refusable;
  call.effects = [];
  asked = 0;
  units = 0;
  if (!call.rest) return false;
  resetRest();
  return true;
}

function resetRest() {
  call.rest = false;
  call.created = 0;
  call.refused = undefined;
  call.promised = undefined;
  call.seeded = false;
  call.logged = 0;
  call.cut = 0;
}

/** Takes back every effect but these lines of log. */
export function keepOnly(lines) {
  call.effects = lines;
  asked = 0;
  units = 0;
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
  if (asked >= allowed.effects && !answers) {
    throw new RangeError(`${what}: this call has asked for ${allowed.effects} effects, which is all that it may (config.budget.effectsPerRecord)`);
  }
  if (units + effect.length > allowed.output) {
    throw new RangeError(`${what}: with these ${effect.length} characters the call asks for more than ${allowed.output} (config.budget.outputKiB)`);
  }
  units += effect.length;
  if (!answers) asked += 1;
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
  if (call.rest) closeLog();
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
