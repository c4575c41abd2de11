// From a class that extends `Room` to the functions of the contract (`wit/room.wit`).
//
// One instance of a component is one room: its state is in these modules.

import { call, closeLog, effectsText, emit, END, logLines, REPLY, resetCall } from "./call.js";
import { dispatch, playerOf } from "./events.js";
import { failureText } from "./failure.js";
import { finish, refuse, saved } from "./finish.js";
import { settlePromises } from "./globals.js";
import { plain, toJson } from "./json.js";
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

/** The exports of a component whose room is of this class. */
export function serve(GivenClass) {
  makeRoom(GivenClass);
  handlers = handlersOf(script.room, script.manifest.messages);
  return { describe: () => script.manifest, open, handle, save, warnings: () => unknownHooks(GivenClass) };
}

function open(info, version, saved) {
  try {
    const room = primordials.parse(info);
    call.now = room.now;
    call.chance = room.chance;
    call.locked = room.locked;
    beginCall();
    opened(room, version, saved);
    settlePromises();
    return effectsText();
  } catch (error) {
    return errorText(error);
  }
}

function handle(now, chance, event, who, what, data) {
  try {
    if (call.used) beginCall();
    call.now = now;
    call.chance = chance;
    try {
      // Nearly every record is a message, and most messages return here.
      if (event === "message") {
        const reply = onMessage(who, what, data);
        if (!call.used && reply.length <= call.left) return reply;
        if (call.refused === undefined) emit(reply, "the reply", true);
      } else {
        dispatch(event, who, what, data);
      }
    } catch (error) {
      if (call.refused === undefined) throw error;
      // An error on the way out of a refusal does not change the refusal.
      if (!(error instanceof Refusal)) log.warn(`after a refusal: ${primordials.split(failureText(error), "\n")[0]}`);
    }
    if (call.refused !== undefined) refuse(call.refused);
    settlePromises();
    return effectsText();
  } catch (error) {
    call.used = true;
    return withLog(errorText(error));
  }
}

/** Skipped when the call before has changed nothing. */
function beginCall() {
  resetCall();
  beginTimers();
  beginRoles();
}

function save() {
  try {
    return saved();
  } catch (error) {
    return errorText(error);
  }
}

/** An error, as the host receives it. */
function errorText(error) {
  return "!" + plain(failureText(error));
}

/** The log of a call that failed leaves with its error, for the script's author. */
function withLog(text) {
  closeLog();
  const lines = logLines();
  return lines.length === 0 ? text : text + END + primordials.join(lines, END);
}

/** The handlers of messages, by type. */
function handlersOf(room, names) {
  const bound = primordials.create(null);
  for (let i = 0; i < names.length; i++) bound[names[i]] = primordials.bind(room.messages[names[i]], room);
  return bound;
}

/**
 * The effect that answers. It is the last, so that a client that has the reply has received all effects of the message.
 */
function onMessage(session, type, data) {
  const handler = handlers[type];
  if (handler === undefined) throw new primordials.Error(`no handler for messages of type ${primordials.stringify(type)}`);
  call.refusable = true;
  const returned = handler(playerOf(session), primordials.parse(data));
  if (call.refused !== undefined) return undefined;
  if (typeof returned === "object" && returned !== null && typeof returned.then === "function") throw aPromise("messages", type);
  const reply = toJson(returned, "the reply to", type);
  // The state is final: the reply has been serialized.
  call.refusable = false;
  if (call.touched) finish();
  return REPLY + reply;
}
