// The end of a call: what it has changed is stored and shown, or undone.

import { undoRooms } from "./allowance.js";
import { call, emit, keepOnly, logLines } from "./call.js";
import { toJson } from "./json.js";
import { allowed } from "./limits.js";
import { undoTimers } from "./pending.js";
import { bySession, commitData, dataLength, discardData, inner, rolesChanged, touched as touchedData, undoRoles } from "./player.js";
import * as primordials from "./primordials.js";
import { undoRequests } from "./requests.js";
import { callHook, script } from "./script.js";
import { commitState, discardState, getState, stateDiffers, stateText, touched as touchedState } from "./state.js";

/** Stores the state, and sends the views. The host drops a view that its member has already. */
export function finish(admitted, always = false) {
  const stateChanged = touchedState && commitState();
  const dataChanged = touchedData.length > 0 && commitData();
  const changed = stateChanged || dataChanged || rolesChanged() || always;
  if (changed) checkSize();
  const { view } = script.hooks;
  if (view === undefined) {
    if (stateChanged || always) emit("view", [stateText()], "the view");
  } else if (view.length < 2) {
    // Without a player parameter it is shared by all members.
    if (changed) emit("view", [toJson(callHook("view", getState()), "the view")], "the view");
  } else if (changed) {
    bySession.forEach(show);
  } else if (admitted !== undefined) {
    show(admitted);
  }
  discard();
}

function show(player) {
  const view = callHook("view", getState(), player);
  emit("view-of", [player.session, toJson(view, "the view")], "the view of each player");
}

/** A state that is too large to be saved would end the room. */
export function checkSize() {
  // Quick, and without the keys around them.
  if (stateText().length + dataLength + 64 <= allowed.state) return;
  const { length } = saved();
  if (length <= allowed.state) return;
  throw new primordials.RangeError(`this.state and the players' data have ${length} characters as JSON; a room may have ${allowed.state} (config.budget.stateKiB)`);
}

/** Undoes the call; its log stays. */
export function undo() {
  undoRooms();
  undoRequests();
  discard();
  undoTimers();
  undoRoles();
  call.locked = call.wasLocked;
  keepOnly(logLines());
}

/** Whether the call has done more than to log. */
export function hasActed() { return logLines().length < call.effects.length || stateDiffers(); }

export function refuse(reason) {
  undo();
  emit("refuse", [reason], "refuse: the reason", true);
}

export function discard() {
  if (touchedState) discardState();
  if (touchedData.length > 0) discardData();
  call.touched = false;
}

export function saved() {
  let data = "";
  bySession.forEach((player) => {
    const text = inner.text(player);
    if (text !== "{}") data += `${data === "" ? "" : ","}"${player.session}":${text}`;
  });
  return data === "" ? `{"state":${stateText()}}` : `{"state":${stateText()},"data":{${data}}}`;
}
