// The current call. One instance is one room and calls never overlap, so there is one object for it.

import { plain } from "./json.js";
import { EFFECTS, LEVELS, tagged } from "./layout.js";
import { allowed, LIMITS } from "./limits.js";
import { Error, RangeError, slice } from "./primordials.js";

/** `now` is null while the component is built: the script's top level, its constructor and its fields. */
export const call = {
  now: null, chance: "",
  /** Whether the last call has changed one of the fields below, or a timer: most do not. */
  used: false,
  /** Whether the call may refuse its record, and the reason once it has. */
  refusable: false, refused: undefined,
  /** Whether the script has read the state or a player's data, which may have changed since. */
  touched: false,
  /** Each in its encoding, as bytes. */
  effects: [],
  /** Effects so far, without the log's and without the answer; the bytes that further effects may have. */
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
 * Requests an effect, which the host carries out once the call has returned. The one that `answers` the record is not
 * counted, so that a script cannot use up its place.
 */
export function emit(name, fields, what, answers = false) {
  if (call.now === null) callTime(what);
  if (call.requested >= allowed.effects && !answers) {
    throw new RangeError(`${what}: this call has requested ${allowed.effects} effects, the most that a call may request (config.budget.effectsPerRecord)`);
  }
  const [tag, kinds] = EFFECTS[name];
  const effect = tagged(tag, kinds, fields);
  if (effect.length > call.left) {
    throw new RangeError(`${what}: with these ${effect.length} bytes the effects of this call exceed ${allowed.output} bytes (config.budget.outputKiB)`);
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
  const [tag, kinds] = EFFECTS.log;
  call.effects[call.effects.length] = tagged(tag, kinds, [LEVELS[level], plain(text)]);
}

export function logLines() {
  const lines = [];
  for (let i = 0; i < call.effects.length; i++) if (call.effects[i][0] === EFFECTS.log[0]) lines[lines.length] = call.effects[i];
  return lines;
}

/** Closes the log, with a line about what was cut. */
export function closeLog() {
  if (call.cut > 0) addLine("warn", `(${call.cut} more bytes of log were cut)`);
}
