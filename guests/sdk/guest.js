// From a class that extends `Room` to the functions of the contract (`wit/room.wit`).
//
// One instance of a component is one room: its state is in these modules.

import { call, closeLog, emit, logLines, resetCall } from "./call.js";
import { dispatch, playerOf } from "./events.js";
import { failureText } from "./failure.js";
import { finish, refuse, saved } from "./finish.js";
import { settlePromises } from "./globals.js";
import { plain, toJson } from "./json.js";
import * as layout from "./layout.js";
import { offer } from "./lobby.js";
import { log } from "./log.js";
import { makeRoom } from "./make.js";
import { unknownHooks } from "./manifest.js";
import { beginTimers } from "./pending.js";
import { beginRoles } from "./player.js";
import * as primordials from "./primordials.js";
import { opened } from "./restore.js";
import { Refusal } from "./room.js";
import { aPromise, script } from "./script.js";

let handlers;

/** The functions of the contract, of a room of this class. */
export function serve(GivenClass) {
  makeRoom(GivenClass);
  handlers = handlersOf(script.room, script.manifest.messages);
  return { describe: () => script.manifest, call: callWith, warnings: () => unknownHooks(GivenClass), offer: () => offer };
}

/** From entries to their outcomes. */
function callWith(input) {
  const answer = layout.newBuffer(), entries = layout.readerOf(input);
  let done = true;
  while (done && entries.at < entries.end) {
    const tag = layout.takeU8(entries);
    done = onEntry(answer, tag, layout.takePart(entries, layout.takeU32(entries)));
  }
  return layout.written(answer);
}

/** Carries out one entry, adds its outcome to the answer, and returns whether the next one may follow. */
function onEntry(answer, tag, fields) {
  if (tag === layout.SAVE) {
    putOutcome(answer, "saved", (outcome) => layout.putUtf8(outcome, saved()));
    return true;
  }
  try {
    if (tag === layout.OPEN) open(fields);
    else handle(tag, fields);
    settlePromises();
  } catch (error) {
    putThrown(answer, error);
    return false;
  }
  closeLog();
  putOutcome(answer, "done", (outcome) => putEffects(outcome, call.effects));
  return true;
}

function putOutcome(answer, name, put) {
  const outcome = layout.newBuffer();
  // What it has used by a meter of its own, which it does not have.
  layout.putAll(outcome, NOTHING_USED);
  put(outcome);
  layout.putU8(answer, layout.OUTCOMES[name]);
  layout.putU32(answer, outcome.length);
  layout.putAll(answer, layout.written(outcome));
}

const NOTHING_USED = new primordials.Uint8Array(8);

function putEffects(outcome, effects) {
  for (let i = 0; i < effects.length; i++) layout.putAll(outcome, effects[i]);
}

/** An error, and the log of the call, for the script's author. */
function putThrown(answer, error) {
  const text = plain(failureText(error));
  call.used = true;
  closeLog();
  putOutcome(answer, "threw", (outcome) => {
    layout.putText(outcome, text);
    putEffects(outcome, logLines());
  });
}

function open(fields) {
  takeLimit(fields);
  const version = layout.takeU32(fields), saved = layout.takeText(fields);
  const room = primordials.parse(layout.restOf(fields));
  call.now = room.now;
  call.chance = room.chance;
  call.locked = room.locked;
  beginCall();
  opened(room, version, saved);
}

function handle(tag, fields) {
  if (call.used) beginCall();
  call.now = layout.takeU64(fields);
  call.chance = layout.takeDigits(fields, 32);
  takeLimit(fields);
  try {
    onEvent(tag, fields);
  } catch (error) {
    if (call.refused === undefined) throw error;
    // An error on the way out of a refusal does not change the refusal.
    if (!(error instanceof Refusal)) log.warn(`after a refusal: ${primordials.split(failureText(error), "\n")[0]}`);
  }
  if (call.refused !== undefined) refuse(call.refused);
}

/** The limit of a guest with a meter of its own. */
function takeLimit(fields) { layout.takeU64(fields); }

function onEvent(tag, fields) {
  const known = layout.EVENTS[tag];
  if (known === undefined) throw new primordials.Error(`an event, 0x${primordials.padStart(primordials.toText(tag, 16), 2, "0")}, that this SDK does not have`);
  const [event, kinds] = known, given = layout.takeFields(fields, kinds);
  if (event === "message") onMessage(given[0], given[1], given[2]);
  else dispatch(event, ...given);
}

/** Skipped when the call before has changed nothing. */
function beginCall() {
  resetCall();
  beginTimers();
  beginRoles();
}

/** The handlers of messages, by type. */
function handlersOf(room, names) {
  const bound = primordials.create(null);
  for (let i = 0; i < names.length; i++) bound[names[i]] = primordials.bind(room.messages[names[i]], room);
  return bound;
}

/**
 * The effect that answers is the last, so that a client that has the reply has received all effects of the message.
 */
function onMessage(session, type, data) {
  const handler = handlers[type];
  if (handler === undefined) throw new primordials.Error(`no handler for messages of type ${primordials.stringify(type)}`);
  call.refusable = true;
  const returned = handler(playerOf(session), primordials.parse(data));
  if (call.refused !== undefined) return;
  if (typeof returned === "object" && returned !== null && typeof returned.then === "function") throw aPromise("messages", type);
  const reply = toJson(returned, "the reply to", type);
  // The state is final: the reply has been serialized.
  call.refusable = false;
  if (call.touched) finish();
  emit("reply", [reply], "the reply", true);
}
