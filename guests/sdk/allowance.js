// How many rooms this one may still create. The host counts in the same way, and refuses further ones.

import { call } from "./call.js";
import { isInteger, ownMap, RangeError, TypeError } from "./primordials.js";
import { named } from "./json.js";

/** The lobby has no bound here: the host limits its rate. */
let left = Infinity;
/** How many rooms each living room has taken, itself included. */
const taken = ownMap();
/** The rooms that one call has created, and that call's effects: a refusal gives the rooms back. */
let created = [];
let createdIn = null;

/** Takes the host's counts when it opens the room. */
export function openRooms(rooms) {
  if (rooms === undefined) return;
  left = rooms.left;
  for (let i = 0; i < rooms.taken.length; i++) taken.set(rooms.taken[i][0], rooms.taken[i][1]);
}

export function roomsLeft() { return left; }

/** The number of rooms that is handed down to a new room, checked. */
export function handedDown(options) {
  const rooms = options?.rooms ?? 0;
  if (!isInteger(rooms) || rooms < 0) {
    throw new TypeError(`rooms.create: rooms must be a whole number, 0 or more, not ${named(rooms)}`);
  }
  if (rooms >= left) {
    throw new RangeError(`rooms.create: this room may have ${left} more rooms, and this one would take ${rooms + 1}; see \`rooms\` in static config.budget`);
  }
  return rooms;
}

export function takeRooms(room, rooms) {
  if (createdIn !== call.effects) {
    createdIn = call.effects;
    created = [];
  }
  created[created.length] = room;
  taken.set(room, rooms + 1);
  left -= rooms + 1;
}

/** The room has ended, or was never created. */
export function giveBack(room) {
  const rooms = taken.get(room);
  if (rooms === undefined) return;
  taken.delete(room);
  left += rooms;
}

/** Runs before the effects of the current call are dropped. */
export function undoRooms() {
  if (createdIn === call.effects) for (let i = 0; i < created.length; i++) giveBack(created[i]);
}
