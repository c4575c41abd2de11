// From a class that extends `Room` to the functions of the contract (`wit/room.wit`).
//
// One instance of a component is one room: its state is in this module.

import { giveBack, openRooms, undoRooms } from "./allowance.js";
import { call, closeLog, effectsText, emit, END, keepOnly, LOG, PART, REPLY, resetCall } from "./call.js";
import { failureText, SURVIVES } from "./failure.js";
import { freezeDeep, checkFields } from "./fields.js";
import { settlePromises } from "./globals.js";
import { named, plain, toJson } from "./json.js";
import { allow, allowed } from "./limits.js";
import { log, logLine } from "./log.js";
import { HOOKS, manifestOf, mustBeSync, unknownHooks } from "./manifest.js";
import { addPlayer, bySession, commitData, dataLength, discardData, inner, touched as touchedData, Player, removePlayer, unsettable } from "./players.js";
import * as primordials from "./primordials.js";
import { Refusal, Room, self } from "./room.js";
import { commitState, discardState, getState, touched as touchedState, setState, stateDiffers, stateText } from "./state.js";
import { beginTimers, fired, undoTimers, restoreTimers, setTimers } from "./timers.js";

let RoomClass, room, hooks, manifest, handlers;

/** The exports of a component whose room is of this class. Makes the room itself, at build time; `open` completes it. */
export function serve(GivenClass) {
  if (typeof GivenClass !== "function" || !(GivenClass.prototype instanceof Room)) {
    throw new primordials.TypeError(`the default export is ${named(GivenClass)}; it must be a class that extends Room from "chorus"`);
  }
  RoomClass = GivenClass;
  room = new RoomClass();
  settlePromises();
  manifest = manifestOf(RoomClass, room);
  allow(RoomClass.config?.budget);
  checkFields(RoomClass, room);
  setState(room.state);
  commitState();
  discard();
  checkSize();
  hooks = hooksOf();
  if (typeof RoomClass.migrate === "function") mustBeSync(RoomClass.migrate, "static migrate");
  handlers = handlersOf();
  if (room.timers !== undefined) setTimers(room.timers);
  seal();
  return { describe: () => manifest, open, handle, save, warnings: () => unknownHooks(RoomClass) };
}

function open(info, version, saved) {
  try {
    opened(primordials.parse(info), version, saved);
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
  const lines = logLines(call.effects);
  return lines.length === 0 ? text : text + END + primordials.join(lines, END);
}

function hooksOf() {
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

/** The handlers of messages, by type. */
function handlersOf() {
  const bound = primordials.create(null);
  const names = manifest.messages;
  for (let i = 0; i < names.length; i++) bound[names[i]] = primordials.bind(room.messages[names[i]], room);
  return bound;
}

/** From here on only `state` can change: any other value that a script stored would be lost at a restore. */
function seal() {
  const names = primordials.ownKeys(room);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const { value } = primordials.getOwnPropertyDescriptor(room, name);
    freezeDeep(value);
    primordials.defineProperty(room, name, {
      get: name === "state" ? getState : () => value,
      set: name === "state" ? setState : () => keepOut(name),
      configurable: false,
    });
  }
  primordials.preventExtensions(room);
  for (let Class = RoomClass; Class !== Room; Class = primordials.getPrototypeOf(Class)) {
    primordials.freeze(Class);
    primordials.freeze(Class.prototype);
  }
  unsettable(Room.prototype, keepOut);
  // At the end of the prototypes: reached only by an assignment to a property that the room does not have.
  const guard = new primordials.Proxy(primordials.getPrototypeOf(Room.prototype), { set: (_, name) => keepOut(name) });
  primordials.setPrototypeOf(Room.prototype, guard);
  primordials.freeze(Room.prototype);
}

function keepOut(name) {
  throw new primordials.TypeError(`this.${primordials.String(name)} cannot be set: ${SURVIVES}`);
}

/** `saved` is empty for a new room. */
function opened(info, version, saved) {
  self.info = info;
  openRooms(info.rooms);
  call.now = info.now;
  call.chance = info.chance;
  call.locked = info.locked;
  beginCall();
  restoreTimers(info.timers ?? []);
  let data;
  if (saved !== "") {
    const known = primordials.parse(saved);
    data = known.data;
    setState(migrated(known.state, version));
    commitState();
    discardState();
  }
  for (let i = 0; i < info.members.length; i++) {
    const member = info.members[i];
    const kept = data?.[member.session];
    addPlayer(new Player(member, kept === undefined ? "{}" : primordials.stringify(kept)));
  }
  if (info.restored) restored(info.restored);
}

function migrated(state, from) {
  const to = manifest.stateVersion;
  if (from === to) return state;
  if (from > to) throw new primordials.Error(`the state is of version ${from}, newer than this script's static stateVersion = ${to}`);
  const { migrate } = RoomClass;
  if (typeof migrate !== "function") {
    throw new primordials.Error(`the state is of version ${from}, this script's of ${to}: it needs static migrate(old, from)`);
  }
  return settled(primordials.apply(migrate, RoomClass, [state, from]), "migrate");
}

/** Only a swap may change a room: every other restore reproduces the state that the log defines. */
function restored(why) {
  if (why === "swapped") {
    callHook("onRestore", why);
    return finish(undefined, true);
  }
  const lines = restoredLines(why);
  undoRooms();
  discard();
  undoTimers();
  call.locked = self.info.locked;
  keepOnly(lines);
}

function restoredLines(why) {
  const hook = `onRestore("${why}")`;
  let complaint = "";
  try {
    callHook("onRestore", why);
    settlePromises();
    const lines = logLines(call.effects);
    const acted = lines.length < call.effects.length || stateDiffers();
    if (acted) complaint = `${hook} may only log; what else it did is dropped, else a replay would differ`;
  } catch (error) {
    complaint = `${hook}: ${failureText(error)}`;
  }
  const lines = logLines(call.effects);
  if (complaint !== "") lines[lines.length] = logLine("warn", complaint);
  call.promised = undefined;
  return lines;
}

function dispatch(event, who, what, data) {
  switch (event) {
    case "create":
      callHook("onCreate", primordials.parse(data));
      return finish(undefined, true);
    case "join":
      return onJoin(who, primordials.parse(what), primordials.parse(data));
    case "drop":
      inner.setConnected(playerOf(who), false);
      callHook("onDrop", playerOf(who));
      return finish();
    case "reconnect":
      inner.setConnected(playerOf(who), true);
      callHook("onReconnect", playerOf(who));
      return finish();
    case "leave":
      return onLeave(who, what);
    case "timer":
      settled(primordials.apply(fired(what), room, [primordials.parse(data)]), "timers", what);
      return finish();
    case "room-message":
      callHook("onRoomMessage", who, primordials.parse(data));
      return finish();
    case "room-end":
      giveBack(who);
      callHook("onRoomEnd", who, primordials.parse(data), what === "" ? undefined : what);
      return finish();
    case "move-failed":
      callHook("onMoveFailed", playerOf(who), what, data);
      return finish();
    case "dispose":
      callHook("onDispose", primordials.parse(data));
      return finish();
    default:
      throw new primordials.Error(`an event, ${event}, that this SDK does not have`);
  }
}

function onJoin(session, { player: id, name, spectator }, given) {
  const player = new Player({ session, player: id, name, connected: true, spectator }, "{}");
  call.refusable = true;
  const verdict = hooks.onJoinAttempt === undefined ? true : callHook("onJoinAttempt", player, given);
  if (call.refused !== undefined) return;
  if (verdict !== true && verdict !== false && verdict !== "spectator") {
    throw new primordials.TypeError(`onJoinAttempt returned ${named(verdict)}; it must be true, false or "spectator"`);
  }
  call.refusable = false;
  if (verdict === false) return refuse("the room did not let you in");
  // The host sets `spectator` beforehand when all players' seats are taken.
  if (verdict === true && spectator) return refuse("the room is full");
  inner.setSpectator(player, verdict === "spectator");
  emit("admit" + PART + (verdict === "spectator" ? "spectator" : "player"), "onJoinAttempt", true);
  addPlayer(player);
  callHook("onJoin", player, given);
  finish(player);
}

function onLeave(session, reason) {
  const player = playerOf(session);
  inner.setConnected(player, false);
  removePlayer(player);
  callHook("onLeave", player, reason);
  finish();
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

function playerOf(session) {
  const player = bySession.get(session);
  if (player === undefined) throw new primordials.Error(`session ${session} is not in this room`);
  return player;
}

function callHook(name, ...values) {
  const hook = hooks[name];
  return hook === undefined ? undefined : settled(primordials.apply(hook, room, values), name);
}

/** Stores the state, and sends the views. The host drops a view that its member has already. */
function finish(admitted, always = false) {
  const stateChanged = touchedState && commitState();
  const dataChanged = touchedData.length > 0 && commitData();
  const changed = stateChanged || dataChanged || always;
  if (changed) checkSize();
  const { view } = hooks;
  if (view === undefined) {
    if (stateChanged || always) emit("view" + PART + stateText(), "the view");
  } else if (view.length < 2) {
    // Without a player parameter it is shared by all members.
    if (changed) emit("view" + PART + toJson(callHook("view", getState()), "the view"), "the view");
  } else if (changed) {
    bySession.forEach(show);
  } else if (admitted !== undefined) {
    show(admitted);
  }
  discard();
}

function show(player) {
  const view = callHook("view", getState(), player);
  emit("view-of" + PART + player.session + PART + toJson(view, "the view"), "the view of each player");
}

/** A state that is too large to be saved would end the room. */
function checkSize() {
  // Quick, and without the keys around them.
  if (stateText().length + dataLength + 64 <= allowed.state) return;
  const { length } = saved();
  if (length <= allowed.state) return;
  throw new primordials.RangeError(`this.state and the players' data have ${length} characters as JSON; a room may have ${allowed.state} (config.budget.stateKiB)`);
}

/** Undoes the call; its log stays. */
function refuse(reason) {
  undoRooms();
  discard();
  undoTimers();
  call.locked = call.wasLocked;
  keepOnly(logLines(call.effects));
  emit("refuse" + PART + reason, "refuse: the reason", true);
}

function discard() {
  if (touchedState) discardState();
  if (touchedData.length > 0) discardData();
  call.touched = false;
}

function saved() {
  let data = "";
  bySession.forEach((player) => {
    const text = inner.text(player);
    if (text !== "{}") data += `${data === "" ? "" : ","}"${player.session}":${text}`;
  });
  return data === "" ? `{"state":${stateText()}}` : `{"state":${stateText()},"data":{${data}}}`;
}

/** Hooks are synchronous: the continuation of a promise would be in no record. */
function settled(value, what, name) {
  if (typeof value === "object" && value !== null && typeof value.then === "function") throw aPromise(what, name);
  return value;
}

function aPromise(what, name) {
  const whole = name === undefined ? what : `${what}.${name}`;
  return new primordials.TypeError(`${whole} returned a promise: hooks are synchronous; drop \`async\`, and use this.schedule.after for what comes later`);
}

function logLines(effects) {
  const lines = [];
  for (let i = 0; i < effects.length; i++) if (primordials.startsWith(effects[i], LOG)) lines[lines.length] = effects[i];
  return lines;
}
