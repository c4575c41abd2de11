// From a class that extends `Room` to the functions of the contract (`wit/room.wit`).
//
// One instance of a component is one room: what there is one of is kept in this module.

import { giveBack, openRooms, undoRooms } from "./allowance.js";
import { call, closeLog, effectsText, emit, END, keepOnly, LOG, PART, REPLY, resetCall } from "./call.js";
import { failureText, SURVIVES } from "./failure.js";
import { freezeDeep, checkFields } from "./fields.js";
import { settlePromises } from "./ground.js";
import { named, plain, toJson } from "./json.js";
import { allow, allowed } from "./limits.js";
import { log, logLine } from "./log.js";
import { HOOKS, manifestOf, mustBeSync, unknownHooks } from "./manifest.js";
import { addPlayer, bySession, commitData, dataLength, forgetData, inner, looked as lookedAtData, Player, removePlayer, unsettable } from "./players.js";
import * as own from "./primordials.js";
import { Refusal, Room, self } from "./room.js";
import { commitState, forgetState, getState, looked as lookedAtState, setState, stateDiffers, stateText } from "./state.js";
import { beginTimers, fired, forgetTimers, restoreTimers, setTimers } from "./timers.js";

let RoomClass, room, hooks, manifest, handlers;

/** The exports of a component whose room is of this class. Makes the room itself, at build time: it waits for `open`. */
export function serve(GivenClass) {
  if (typeof GivenClass !== "function" || !(GivenClass.prototype instanceof Room)) {
    throw new own.TypeError(`the default export is ${named(GivenClass)}; it must be a class that extends Room from "chorus"`);
  }
  RoomClass = GivenClass;
  room = new RoomClass();
  settlePromises();
  manifest = manifestOf(RoomClass, room);
  allow(RoomClass.config?.budget);
  checkFields(RoomClass, room);
  setState(room.state);
  commitState();
  forget();
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
    opened(own.parse(info), version, saved);
    settlePromises();
    return effectsText();
  } catch (error) {
    return words(error);
  }
}

function handle(now, chance, event, who, what, data) {
  try {
    if (call.used) beginCall();
    call.now = now;
    call.chance = chance;
    try {
      // Nearly every record is one, and nearly each of them is done here.
      if (event === "message") {
        const reply = onMessage(who, what, data);
        if (!call.used && reply.length <= call.left) return reply;
        if (call.refused === undefined) emit(reply, "the reply", true);
      } else {
        dispatch(event, who, what, data);
      }
    } catch (error) {
      if (call.refused === undefined) throw error;
      // What else went wrong on the way out of a refusal changes nothing about it.
      if (!(error instanceof Refusal)) log.warn(`after a refusal: ${own.split(failureText(error), "\n")[0]}`);
    }
    if (call.refused !== undefined) refuse(call.refused);
    settlePromises();
    return effectsText();
  } catch (error) {
    call.used = true;
    return withLog(words(error));
  }
}

/** For every call but one that follows on a call that has asked for nothing. */
function beginCall() {
  resetCall();
  beginTimers();
}

function save() {
  try {
    return saved();
  } catch (error) {
    return words(error);
  }
}

/** An error, as it leaves. */
function words(error) {
  return "!" + plain(failureText(error));
}

/** What the call logged before it failed leaves with the error: it is what its author looks for. */
function withLog(text) {
  closeLog();
  const lines = logLines(call.effects);
  return lines.length === 0 ? text : text + END + own.join(lines, END);
}

function hooksOf() {
  const found = { view: room.view };
  for (let i = 0; i < HOOKS.length; i++) found[HOOKS[i]] = room[HOOKS[i]];
  const names = own.keys(found);
  for (let i = 0; i < names.length; i++) {
    const hook = found[names[i]];
    if (hook === undefined) continue;
    if (typeof hook !== "function") throw new own.TypeError(`${names[i]} must be a function, not ${named(hook)}`);
    mustBeSync(hook, names[i]);
  }
  return found;
}

/** Messages' handlers, by type. */
function handlersOf() {
  const bound = own.create(null);
  const names = manifest.messages;
  for (let i = 0; i < names.length; i++) bound[names[i]] = own.bind(room.messages[names[i]], room);
  return bound;
}

/** From here on nothing of the room can change but `state`: what else a script kept would be lost at a restore. */
function seal() {
  const names = own.ownKeys(room);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const { value } = own.getOwnPropertyDescriptor(room, name);
    freezeDeep(value);
    own.defineProperty(room, name, {
      get: name === "state" ? getState : () => value,
      set: name === "state" ? setState : () => keepOut(name),
      configurable: false,
    });
  }
  own.preventExtensions(room);
  for (let Class = RoomClass; Class !== Room; Class = own.getPrototypeOf(Class)) {
    own.freeze(Class);
    own.freeze(Class.prototype);
  }
  unsettable(Room.prototype, keepOut);
  // At the end of the prototypes: met only by an assignment to what the room does not have.
  const guard = new own.Proxy(own.getPrototypeOf(Room.prototype), { set: (_, name) => keepOut(name) });
  own.setPrototypeOf(Room.prototype, guard);
  own.freeze(Room.prototype);
}

function keepOut(name) {
  throw new own.TypeError(`this.${own.String(name)} cannot be set: ${SURVIVES}`);
}

/** `saved` is empty when there is nothing. */
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
    const known = own.parse(saved);
    data = known.data;
    setState(migrated(known.state, version));
    commitState();
    forgetState();
  }
  for (let i = 0; i < info.members.length; i++) {
    const member = info.members[i];
    const kept = data?.[member.session];
    addPlayer(new Player(member, kept === undefined ? "{}" : own.stringify(kept)));
  }
  if (info.restored) restored(info.restored);
}

function migrated(state, from) {
  const to = manifest.stateVersion;
  if (from === to) return state;
  if (from > to) throw new own.Error(`the state is of version ${from}, newer than this script's static stateVersion = ${to}`);
  const { migrate } = RoomClass;
  if (typeof migrate !== "function") {
    throw new own.Error(`the state is of version ${from}, this script's of ${to}: it needs static migrate(old, from)`);
  }
  return settled(own.apply(migrate, RoomClass, [state, from]), "migrate");
}

/** Only a swap may change a room: all else brings it back to where the log says it was. */
function restored(why) {
  if (why === "swapped") {
    callHook("onRestore", why);
    return finish(undefined, true);
  }
  const lines = restoredLines(why);
  undoRooms();
  forget();
  forgetTimers();
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
    const asked = lines.length < call.effects.length || stateDiffers();
    if (asked) complaint = `${hook} may only log; what else it did is dropped, else a replay would differ`;
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
      callHook("onCreate", own.parse(data));
      return finish(undefined, true);
    case "join":
      return onJoin(who, own.parse(what), own.parse(data));
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
      settled(own.apply(fired(what), room, [own.parse(data)]), "timers", what);
      return finish();
    case "room-message":
      callHook("onRoomMessage", who, own.parse(data));
      return finish();
    case "room-end":
      giveBack(who);
      callHook("onRoomEnd", who, own.parse(data), what === "" ? undefined : what);
      return finish();
    case "move-failed":
      callHook("onMoveFailed", playerOf(who), what, data);
      return finish();
    case "dispose":
      callHook("onDispose", own.parse(data));
      return finish();
    default:
      throw new own.Error(`an event of kind ${event}, which this SDK does not know`);
  }
}

function onJoin(session, { player: id, name, spectator }, given) {
  const player = new Player({ session, player: id, name, connected: true, spectator }, "{}");
  call.refusable = true;
  const word = hooks.onJoinAttempt === undefined ? true : callHook("onJoinAttempt", player, given);
  if (call.refused !== undefined) return;
  if (word !== true && word !== false && word !== "spectator") {
    throw new own.TypeError(`onJoinAttempt returned ${named(word)}; it must be true, false or "spectator"`);
  }
  call.refusable = false;
  if (word === false) return refuse("the room did not let you in");
  // The host says "spectator" beforehand when all players' seats are taken.
  if (word === true && spectator) return refuse("the room is full");
  inner.setSpectator(player, word === "spectator");
  emit("admit" + PART + (word === "spectator" ? "spectator" : "player"), "onJoinAttempt", true);
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
 * The effect that answers. It is the last, so that a client that has the reply has seen all that the message did.
 */
function onMessage(session, kind, data) {
  const handler = handlers[kind];
  if (handler === undefined) throw new own.Error(`no handler for messages of type ${own.stringify(kind)}`);
  call.refusable = true;
  const said = handler(playerOf(session), own.parse(data));
  if (call.refused !== undefined) return undefined;
  if (typeof said === "object" && said !== null && typeof said.then === "function") throw aPromise("messages", kind);
  const reply = toJson(said, "the reply to", kind);
  // From here on the state is what it is.
  call.refusable = false;
  if (call.looked) finish();
  return REPLY + reply;
}

function playerOf(session) {
  const player = bySession.get(session);
  if (player === undefined) throw new own.Error(`session ${session} is not in this room`);
  return player;
}

function callHook(name, ...values) {
  const hook = hooks[name];
  return hook === undefined ? undefined : settled(own.apply(hook, room, values), name);
}

/** Keeps what the call made of the state, and shows it. The host drops a view that is what its member sees already. */
function finish(admitted, always = false) {
  const stateChanged = lookedAtState && commitState();
  const dataChanged = lookedAtData.length > 0 && commitData();
  const changed = stateChanged || dataChanged || always;
  if (changed) checkSize();
  const { view } = hooks;
  if (view === undefined) {
    if (stateChanged || always) emit("view" + PART + stateText(), "the view");
  } else if (view.length < 2) {
    // It asks for no player: everybody's.
    if (changed) emit("view" + PART + toJson(callHook("view", getState()), "the view"), "the view");
  } else if (changed) {
    bySession.forEach(show);
  } else if (admitted !== undefined) {
    show(admitted);
  }
  forget();
}

function show(player) {
  const view = callHook("view", getState(), player);
  emit("view-of" + PART + player.session + PART + toJson(view, "the view"), "the view of each player");
}

/** What is too large to be saved would end the room. */
function checkSize() {
  // Without the keys around them.
  if (stateText().length + dataLength + 64 <= allowed.state) return;
  const { length } = saved();
  if (length <= allowed.state) return;
  throw new own.RangeError(`this.state and the players' data have ${length} characters as JSON; a room may have ${allowed.state} (config.budget.stateKiB)`);
}

/** Puts everything back; what was logged stays. */
function refuse(reason) {
  undoRooms();
  forget();
  forgetTimers();
  call.locked = call.wasLocked;
  keepOnly(logLines(call.effects));
  emit("refuse" + PART + reason, "refuse: the reason", true);
}

function forget() {
  if (lookedAtState) forgetState();
  if (lookedAtData.length > 0) forgetData();
  call.looked = false;
}

function saved() {
  let data = "";
  bySession.forEach((player) => {
    const text = inner.text(player);
    if (text !== "{}") data += `${data === "" ? "" : ","}"${player.session}":${text}`;
  });
  return data === "" ? `{"state":${stateText()}}` : `{"state":${stateText()},"data":{${data}}}`;
}

/** Hooks are synchronous: what a promise would do later is in no record. */
function settled(value, what, name) {
  if (typeof value === "object" && value !== null && typeof value.then === "function") throw aPromise(what, name);
  return value;
}

function aPromise(what, name) {
  const whole = name === undefined ? what : `${what}.${name}`;
  return new own.TypeError(`${whole} returned a promise: hooks are synchronous; drop \`async\`, and use this.schedule.after for what comes later`);
}

function logLines(effects) {
  const lines = [];
  for (let i = 0; i < effects.length; i++) if (own.startsWith(effects[i], LOG)) lines[lines.length] = effects[i];
  return lines;
}
