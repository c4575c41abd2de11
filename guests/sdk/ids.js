// Ids of rooms and sessions.

import { toText } from "./json.js";
import * as primordials from "./primordials.js";

/** The room that every session joins first. */
export const LOBBY = "00000000000000000000000000010bb7";

/** A room's or a session's. */
export const ID = primordials.pattern(/^[0-9a-f]{32}$/);

/** A room's id, checked; `"lobby"` is one. */
export function roomId(room, what) {
  const id = room === "lobby" ? LOBBY : toText(room, `${what}: the room`);
  if (!primordials.test(ID, id)) {
    throw new primordials.TypeError(`${what}: ${primordials.stringify(id)} is not a room's id; take one from this.rooms.create, or "lobby"`);
  }
  return id;
}
