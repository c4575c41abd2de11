// The events of a room but for messages, which have a way of their own.

import { giveBack } from "./allowance.js";
import { call, emit, PART } from "./call.js";
import { finish, refuse } from "./finish.js";
import { named } from "./json.js";
import { addPlayer, bySession, inner, Player, removePlayer, rolesChanged } from "./player.js";
import * as primordials from "./primordials.js";
import { isFull } from "./roles.js";
import { callHook, script, settled } from "./script.js";
import { fired } from "./timers.js";

export function dispatch(event, who, what, data) {
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
      settled(primordials.apply(fired(what), script.room, [primordials.parse(data)]), "timers", what);
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
  const verdict = script.hooks.onJoinAttempt === undefined ? true : callHook("onJoinAttempt", player, given);
  if (call.refused !== undefined) return;
  if (verdict !== true && verdict !== false && verdict !== "spectator") {
    throw new primordials.TypeError(`onJoinAttempt returned ${named(verdict)}; it must be true, false or "spectator"`);
  }
  call.refusable = false;
  if (verdict === false) return refuse("the room did not let you in");
  // The host sets `spectator` beforehand when all players' seats are taken; the hook may have freed or filled one.
  const full = rolesChanged() ? isFull() : spectator;
  if (verdict === true && full) return refuse("the room is full");
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

export function playerOf(session) {
  const player = bySession.get(session);
  if (player === undefined) throw new primordials.Error(`session ${session} is not in this room`);
  return player;
}
