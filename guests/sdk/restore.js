// How a room begins in an instance: new, or from what an earlier one has saved.

import { openRooms } from "./allowance.js";
import { addLine, call } from "./call.js";
import { failureText } from "./failure.js";
import { finish, hasActed, undo } from "./finish.js";
import { settlePromises } from "./globals.js";
import { recall } from "./memory.js";
import { addPlayer, Player } from "./player.js";
import * as primordials from "./primordials.js";
import { openRequests } from "./requests.js";
import { callHook, script, settled } from "./script.js";
import { commitState, discardState, setState } from "./state.js";
import { restoreTimers } from "./timers.js";

/** `saved` is empty for a new room. */
export function opened(info, version, saved) {
  recall().info = info;
  openRooms(info.rooms);
  restoreTimers(info.timers ?? []);
  openRequests(info.requests ?? []);
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
  const to = script.manifest.stateVersion;
  if (from === to) return state;
  if (from > to) throw new primordials.Error(`the state is of version ${from}, newer than this script's static stateVersion = ${to}`);
  const { migrate } = script.Class;
  if (typeof migrate !== "function") {
    throw new primordials.Error(`the state is of version ${from}, this script's of ${to}: it needs static migrate(old, from)`);
  }
  return settled(primordials.apply(migrate, script.Class, [state, from]), "migrate");
}

/** Only a swap may change a room: every other restore reproduces the state that the log defines. */
function restored(why) {
  if (why === "swapped") {
    callHook("onRestore", why);
    return finish(undefined, true);
  }
  const complaint = complaintOf(why);
  undo();
  if (complaint !== "") addLine("warn", complaint);
  call.promised = undefined;
}

/** Runs the hook; what is wrong with what it has done. */
function complaintOf(why) {
  const hook = `onRestore("${why}")`;
  try {
    callHook("onRestore", why);
    settlePromises();
    return hasActed() ? `${hook} may only log; what else it did is dropped, else a replay would differ` : "";
  } catch (error) {
    return `${hook}: ${failureText(error)}`;
  }
}
