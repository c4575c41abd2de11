// How many rooms this one may still create. The host counts in the same way, and refuses further ones.

import { call } from "./call.js";
import { named } from "./json.js";
import { recall } from "./memory.js";
import { isInteger, RangeError, TypeError } from "./primordials.js";

/** Takes the host's counts when it opens the room. */
export function openRooms(rooms) {
  if (rooms === undefined) return;
  const notes = recall();
  notes.left = rooms.left;
  for (let i = 0; i < rooms.taken.length; i++) notes.taken.set(rooms.taken[i][0], rooms.taken[i][1]);
}

export function roomsLeft() { return recall().left; }

/** The number of rooms that is handed down to a new room, checked. */
export function handedDown(options) {
  const rooms = options?.rooms ?? 0;
  if (!isInteger(rooms) || rooms < 0) {
    throw new TypeError(`rooms.create: rooms must be a whole number, 0 or more, not ${named(rooms)}`);
  }
  const { left } = recall();
  if (rooms >= left) {
    throw new RangeError(`rooms.create: this room may have ${left} more rooms, and this one would take ${rooms + 1}; see \`rooms\` in static config.budget`);
  }
  return rooms;
}

export function takeRooms(room, rooms) {
  const notes = recall();
  if (notes.createdIn !== call.effects) {
    notes.createdIn = call.effects;
    notes.created = [];
  }
  notes.created[notes.created.length] = room;
  notes.taken.set(room, rooms + 1);
  notes.left -= rooms + 1;
}

/** The room has ended, or was never created. */
export function giveBack(room) {
  const notes = recall();
  const rooms = notes.taken.get(room);
  if (rooms === undefined) return;
  notes.taken.delete(room);
  notes.left += rooms;
}

/** Runs before the effects of the current call are dropped. */
export function undoRooms() {
  const { created, createdIn } = recall();
  if (createdIn === call.effects) for (let i = 0; i < created.length; i++) giveBack(created[i]);
}
