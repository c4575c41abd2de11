// The events of a room but for messages, which have a way of their own.

import { giveBack } from "./allowance.js";
import { call, emit } from "./call.js";
import { withClaims } from "./claims.js";
import { finish, refuse } from "./finish.js";
import { named, toJson } from "./json.js";
import { allowed } from "./limits.js";
import { reportSeats, takeNote } from "./lobby.js";
import { addPlayer, bySession, inner, Player, removePlayer, rolesChanged } from "./player.js";
import * as primordials from "./primordials.js";
import { answered, found } from "./requests.js";
import { isFull } from "./roles.js";
import { callHook, script, settled } from "./script.js";
import { fired } from "./timers.js";

/** `fields`: those of the event, as the contract lists them. A joining member's are one object. */
export function dispatch(event, ...fields) {
  switch (event) {
    case "create":
      callHook("onCreate", primordials.parse(fields[0]));
      return finish(undefined, true);
    case "join":
      return onJoin(fields[0], fields[1], fields[2], primordials.parse(fields[3]));
    case "drop":
      inner.setConnected(playerOf(fields[0]), false);
      callHook("onDrop", playerOf(fields[0]));
      return finish();
    case "reconnect":
      inner.setConnected(playerOf(fields[0]), true);
      callHook("onReconnect", playerOf(fields[0]));
      return finish();
    case "leave":
      return onLeave(fields[0], fields[1]);
    case "timer":
      settled(primordials.apply(fired(fields[0]), script.room, [primordials.parse(fields[1])]), "timers", fields[0]);
      return finish();
    case "answer":
      settled(primordials.apply(answered(fields[0]), script.room, [found(fields[1], fields[3]), primordials.parse(fields[2])]), "answers", fields[0]);
      return finish();
    case "room-message":
      callHook("onRoomMessage", fields[0], primordials.parse(fields[1]));
      return finish();
    case "room-end":
      giveBack(fields[0]);
      callHook("onRoomEnd", fields[0], primordials.parse(fields[2]), fields[1] === "" ? undefined : fields[1]);
      return finish();
    case "move-failed":
      onMoveFailed(playerOf(fields[0]), fields[1], fields[2]);
      return finish();
    case "identify":
      return onIdentify(playerOf(fields[0]), fields[1], fields[2], fields[3], fields[4]);
    case "erase":
      callHook("onErase", fields[0]);
      return finish();
    case "dispose":
      callHook("onDispose", primordials.parse(fields[0]));
      return finish();
  }
}

function onJoin(session, { player: id, name, spectator }, claims, given) {
  const replaced = replacedBy(id), note = takeNote(given);
  // The seat passes to the newcomer: that of the latest session, where several are replaced.
  const data = replaced.length === 0 ? "{}" : toJson(replaced[replaced.length - 1].data, "player.data");
  const player = new Player({ session, player: id, name, connected: true, spectator }, data);
  return withClaims(player, claims, () => admit(player, spectator, given, replaced, note));
}

/** The sessions that leave once this player has joined by a further one, the oldest first (`core/src/room/commands/membership.rs`). */
function replacedBy(id) {
  const seats = [];
  if (allowed.sessions === 0) return seats;
  bySession.forEach((player) => { if (player.id === id) seats[seats.length] = player; });
  const kept = allowed.sessions - 1;
  if (seats.length <= kept) seats.length = 0;
  else seats.length -= kept;
  return seats;
}

/** `note`: the lobby's, about a newcomer that it has counted. */
function admit(player, spectator, given, replaced, note) {
  call.refusable = true;
  let verdict = script.hooks.onJoinAttempt === undefined ? true : callHook("onJoinAttempt", player, given);
  if (call.refused !== undefined) return;
  if (verdict !== true && verdict !== false && verdict !== "spectator") {
    throw new primordials.TypeError(`onJoinAttempt returned ${named(verdict)}; it must be true, false or "spectator"`);
  }
  call.refusable = false;
  if (verdict === false) return refuse("the room did not let you in");
  // The host sets `spectator` beforehand when all players' seats are taken; the hook may have freed or filled one.
  let leaving = 0;
  for (let i = 0; i < replaced.length; i++) if (!replaced[i].spectator) leaving += 1;
  const full = rolesChanged() ? isFull(leaving) : spectator;
  // A spectator's seat passes on as it is.
  if (verdict === true && full && replaced.length > 0) verdict = "spectator";
  // The lobby brings who means to play to another room, or to a new one.
  if (full && (verdict === true || note === "play")) return refuse("the room is full");
  inner.setSpectator(player, verdict === "spectator");
  emit("admit", [verdict === "spectator"], "onJoinAttempt", true);
  addPlayer(player);
  if (note !== undefined && verdict === "spectator") reportSeats(1);
  callHook("onJoin", player, given);
  finish(player);
}

/** A guest has signed in. A room without the hook keeps the identity under which it has stored its data about the player. */
function onIdentify(player, was, id, name, claims) {
  if (script.hooks.onUpgrade === undefined) return finish();
  inner.setIdentity(player, id, name);
  emit("identify", [], "onUpgrade", true);
  withClaims(player, claims, () => callHook("onUpgrade", player, was));
  finish(undefined, true);
}

/** A script without the hook has the member notified, which may wait for its way out (`leave` in lobby.js). */
function onMoveFailed(player, room, reason) {
  if (script.hooks.onMoveFailed === undefined) return player.send("failed", { room, reason });
  callHook("onMoveFailed", player, room, reason);
}

function onLeave(session, reason) {
  const player = playerOf(session);
  inner.setConnected(player, false);
  removePlayer(player);
  // Before the hook, which may give the seat to another.
  if (!player.spectator) reportSeats(1);
  callHook("onLeave", player, reason);
  finish();
}

export function playerOf(session) {
  const player = bySession.get(session);
  if (player === undefined) throw new primordials.Error(`session ${session} is not in this room`);
  return player;
}
