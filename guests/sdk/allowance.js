// How many rooms this one may still create. The host counts in the same way, and refuses what goes beyond it.

import { call } from "./call.js";
import { isInteger, ownMap, RangeError, TypeError } from "./primordials.js";
import { named } from "./json.js";

/** Without a bound that is known here: the lobby has others. */
let left = Infinity;
/** What each living room has taken, itself included. */
const taken = ownMap();
/** Rooms of one call, which is known by its effects: what is refused was never created. */
let made = [];
let madeIn = null;

/** As the host says when it opens the room. */
export function openRooms(rooms) {
  if (rooms === undefined) return;
  left = rooms.left;
  for (let i = 0; i < rooms.taken.length; i++) taken.set(rooms.taken[i][0], rooms.taken[i][1]);
}

export function roomsLeft() { return left; }

/** What is handed down to a new room: a number that is checked, and that is left. */
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
  if (madeIn !== call.effects) {
    madeIn = call.effects;
    made = [];
  }
  made[made.length] = room;
  taken.set(room, rooms + 1);
  left -= rooms + 1;
}

/** The room has ended, or was never made. */
export function giveBack(room) {
  const rooms = taken.get(room);
  if (rooms === undefined) return;
  taken.delete(room);
  left += rooms;
}

/** Before the effects of the call in hand are dropped. */
export function undoRooms() {
  if (madeIn === call.effects) for (let i = 0; i < made.length; i++) giveBack(made[i]);
}
