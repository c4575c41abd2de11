// What the SDK itself keeps of a room from call to call.

import { ownMap } from "./primordials.js";

export function newNotes() {
  return {
    /** The host's description of the room, from `open`. */
    info: null,
    /** How many rooms it may still create. The lobby has no bound here: the host limits its rate. */
    left: Infinity,
    /** How many rooms each living room has taken, itself included. */
    taken: ownMap(),
    /** The rooms that one call has created, and that call's effects: a refusal gives the rooms back. */
    created: [], createdIn: null,
    /** Pending requests; those that one call has made, and that call's effects: a refusal takes them back. */
    pending: 0, asked: 0, askedIn: null,
  };
}
