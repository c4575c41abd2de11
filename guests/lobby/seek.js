// What `joinOrCreate` goes on with while the player is on its way: a room that does not take it is no answer yet.
//
// The lobby goes on by itself, since it is where the rooms are known: to the next open room that fits, and after ROOMS_TRIED of them to
// a new one. The answer of the new room is the player's, with the room's reason, and so is that of a room which the player has named.
//
// A script refuses for reasons of two kinds, which the lobby cannot tell apart: those of the player ("say please") and those of the
// room (its game has begun). So a refusal never takes a room from others: the room is *doubtful*, and comes after those that are not
// (open.js), until it reports its seats.

/** Rooms that a request tries before one is created for it. Each is a join that the room decides. */
export const ROOMS_TRIED = 3;
/** A request with options of more characters, as JSON, ends with the first room's answer: a member's data is in the lobby's state. */
export const OPTIONS_KEPT = 1_024;
/** Rooms that are created for a player in a minute because others have not taken it. The host does not count them as the player's. */
export const ROOMS_MADE = 10;
export const ROOMS_MADE_MS = 60_000;

/**
 * Added to the options of a player that the lobby has counted among a room's players: "play" of one that means to play, which a full
 * room does not take as a spectator; "join" of one that has named the room or created it. The SDK takes it out (guests/sdk/lobby.js).
 */
export const NOTE = "@lobby";

/** The edge's reasons (`core/src/session/moves.rs`), with which no other room would take the player either. */
export const NOT_THE_ROOMS = new Set(["the server cannot reach its store now", "a session can be in 8 rooms at most"]);

/** Codes of failed moves after which another room may take the player. */
const GOES_ON = new Set(["full", "locked", "ended", "not_found", "refused"]);

/** @typedef {{ key: string, options: Record<string, any>, tried: string[] }} Seek the rooms' key, the player's options, and the rooms that have not taken it */

/** What is kept of a request. @param {Seek} seek @returns {Seek | undefined} */
export function keptSeek(seek) {
  return JSON.stringify(seek.options).length <= OPTIONS_KEPT ? seek : undefined;
}

/** The request without the room that has not taken the player; undefined when that is its answer. @param {Seek | undefined} seek @param {string} room @param {string} code @returns {Seek | undefined} */
export function nextSeek(seek, room, code) {
  return seek && GOES_ON.has(code) ? { ...seek, tried: [...seek.tried, room] } : undefined;
}

/** A client's options without a note of its own. @param {Record<string, any>} options */
export function withoutNote(options) {
  if (!Object.hasOwn(options, NOTE)) return options;
  const { [NOTE]: _, ...others } = options;
  return others;
}
