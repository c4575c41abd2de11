// The current call. One instance is one room and calls never overlap, so there is one object for it.

import { plain } from "./json.js";
import { allowed, LIMITS } from "./limits.js";
import { Error, join, RangeError, slice, startsWith } from "./primordials.js";

/** Between the parts of an effect, and between effects; see `wit/room.wit`. Neither can be in JSON. */
export const PART = "\x1f";
export const END = "\x1e";

/** The beginning of the effect of a log line. */
export const LOG = "log" + PART;

/** The beginning of the effect that answers a message. */
export const REPLY = "reply" + PART;

/**
 * `now` is null while the component is built: the script's top level, its constructor and its fields.
 *
 * What nearly every message needs is in this one object, and in few others. In a server with many rooms none of them are in
 * the processor's caches, and each variable of a module and each function that a call reads costs as much as some hundred
 * instructions.
 */
export const call = {
  now: null, chance: "",
  /** Whether the last call has changed one of the fields below, or a timer: most do not. */
  used: false,
  /** Whether the call may refuse its record, and the reason once it has. */
  refusable: false, refused: undefined,
  /** Whether the script has read the state or a player's data, which may have changed since. */
  touched: false,
  effects: [],
  /** Effects so far, without the log's and without the answer; the units of text that further effects may have. */
  requested: 0, left: 0,
  created: 0, seeded: false, locked: false,
  /** Whether the room was locked before the call: a refusal restores that. */
  wasLocked: false,
  /** The error of a script that waits for a promise. */
  promised: undefined,
  /** The length of the log lines that were kept, and of those that were cut. */
  logged: 0, cut: 0,
};

/** Runs before a call, if the call before it has changed a field. */
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

/** Drops every effect but these log lines. */
export function keepOnly(lines) {
  call.effects = lines;
  call.requested = 0;
  call.left = allowed.output;
}

/** The record's time; there is none at build time. */
export function callTime(what) {
  if (call.now === null) {
    throw new Error(
      `${what} has no meaning while the component is built, and would be the same in every room: use it in onCreate or later`,
    );
  }
  return call.now;
}

/**
 * Requests an effect, which the host carries out once the call has returned: its name and its parts, with a `PART` before
 * each. The one that `answers` the record is not counted, so that a script cannot use up its place.
 */
export function emit(effect, what, answers = false) {
  if (call.now === null) callTime(what);
  if (call.requested >= allowed.effects && !answers) {
    throw new RangeError(`${what}: this call has requested ${allowed.effects} effects, the most that a call may request (config.budget.effectsPerRecord)`);
  }
  if (effect.length > call.left) {
    throw new RangeError(`${what}: with these ${effect.length} characters the effects of this call exceed ${allowed.output} characters (config.budget.outputKiB)`);
  }
  call.used = true;
  call.left -= effect.length;
  if (!answers) call.requested += 1;
  const { effects } = call;
  effects[effects.length] = effect;
}

/** Reserved for the line that reports the cut. */
const CUT_NOTE = 64;

/** Keeps as much of a log line as fits: too long a log is no error. A line costs one unit more than its text has. */
export function keepLine(level, text) {
  call.used = true;
  const left = LIMITS.logUnits - CUT_NOTE - call.logged - 1;
  if (left < 0) {
    call.cut += text.length + 1;
    return;
  }
  const kept = text.length <= left ? text : plain(slice(text, 0, left));
  call.logged += kept.length + 1;
  call.cut += text.length - kept.length;
  addLine(level, kept);
}

/** A log line beside those that are counted. */
export function addLine(level, text) {
  call.used = true;
  call.effects[call.effects.length] = LOG + level + PART + plain(text);
}

export function logLines() {
  const lines = [];
  for (let i = 0; i < call.effects.length; i++) if (startsWith(call.effects[i], LOG)) lines[lines.length] = call.effects[i];
  return lines;
}

/** Closes the log, with a line about what was cut. */
export function closeLog() {
  const { effects } = call;
  if (call.cut > 0) effects[effects.length] = `${LOG}warn${PART}(${call.cut} more bytes of log were cut)`;
}

/** All effects, as the host receives them. */
export function effectsText() {
  closeLog();
  const { effects } = call;
  return effects.length === 1 ? effects[0] : join(effects, END);
}
