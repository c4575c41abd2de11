// The room's side of the default lobby: how a member gets back there, and what the room reports, so that the lobby can offer
// the seats that have become free. `static lobby` of the class configures both sides (guests/lobby/index.js).
//
// A report is a message to the lobby like any other (`rooms.send`): it is numbered, and arrives once. Rooms that the lobby has
// not created report nothing.

import { call, emit } from "./call.js";
import { LOBBY } from "./ids.js";
import { recall } from "./memory.js";
import { playerCount } from "./player.js";
import * as primordials from "./primordials.js";

/** What the lobby has of the kind, from `static lobby`; false when clients cannot request it. */
export let offer = false;

/** While the component is built. */
export function setOffer(given) { offer = given; }

/**
 * Players' seats that are free again; below 0, that are taken. They are reported where they change, in the order of the changes. The lobby
 * has counted the newcomers that it has moved here, so a join is reported only when it takes no seat.
 */
export function reportSeats(freed) { if (!call.locked) report(`{"freed":${freed}}`); }

/** What a locked room has not reported is in the number of its players. */
export function reportLock(locked) { report(locked ? '{"locked":true}' : `{"locked":false,"players":${playerCount()}}`); }

/** The lobby's key in the options of a join: see `NOTE` in guests/lobby/seek.js. */
const NOTE = "@lobby";

/** Takes the lobby's note out of a newcomer's options: "play" or "join" of one that the lobby counts. */
export function takeNote(options) {
  if (!isLobbys() || typeof options !== "object" || options === null || !primordials.hasOwn(options, NOTE)) return undefined;
  const note = options[NOTE];
  delete options[NOTE];
  return note;
}

/** `text`: the room's metadata, as JSON. Of it the lobby has what it compares. */
export function reportMetadata(text) {
  if (!isReporting() || offer.match.length === 0) return;
  const data = primordials.parse(text), found = primordials.create(null);
  if (typeof data !== "object" || data === null) return;
  for (let i = 0; i < offer.match.length; i++) {
    const name = offer.match[i];
    if (primordials.hasOwn(data, name)) found[name] = data[name];
  }
  report(`{"metadata":${primordials.stringify(found)}}`);
}

/** Seats that the lobby has filled by itself, it does not fill again. */
function isReporting() { return offer !== false && offer.seats === 0 && isLobbys(); }

function isLobbys() { return recall().info?.creator === LOBBY; }

/** Not counted among the effects of the call, so that a script that uses up its budget does not fail by it. */
function report(text) {
  if (isReporting()) emit("send-room", [LOBBY, `{"lobby":${text}}`], "a report to the lobby", true);
}

/** The handler of `leave` in a room that has none of its own. */
export function leave(player) {
  if (recall().info.id !== LOBBY) player.moveTo(LOBBY);
  return {};
}
