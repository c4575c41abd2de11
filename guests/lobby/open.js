// The rooms that take further players without being asked for by code: public, not locked, with a free seat.
//
// They are by *key*: the kind, and the values that players must have in common. A key's rooms are filled in their order, so all
// but the last are full. The seats that are counted are those that the lobby has filled, less those that the room has reported
// free. A count that is too low costs a refused move, after which the room counts as full; one that is too high would leave a
// seat empty, and cannot happen by reports and answers that come twice or not at all: each comes once.
//
// A room that has refused a player is *doubtful*: see seek.js.

/** Further rooms are found by their codes alone, until a seat in them becomes free. */
export const OPEN_KEPT = 1_000;

/**
 * @typedef {{ room: string, code: string | null, taken: number, since: number, doubtful?: true }} Open
 * @typedef {{ count: number, byKey: Record<string, Open[]> }} OpenRooms
 */

/** @returns {OpenRooms} */
export function noRooms() {
  return { count: 0, byKey: {} };
}

/** The first room that is not doubtful, or else the first; without those that were `tried`. @param {OpenRooms} rooms @param {string} key @param {string[]} tried @returns {Open | undefined} */
export function firstOpen({ byKey }, key, tried) {
  const those = byKey[key] ?? [], isLeft = (/** @type {Open} */ { room }) => !tried.includes(room);
  return those.find((open) => !open.doubtful && isLeft(open)) ?? those.find(isLeft);
}

/** @param {OpenRooms} rooms @param {string} key @param {string} room @returns {Open | undefined} */
export function openRoom({ byKey }, key, room) {
  return byKey[key]?.find((open) => open.room === room);
}

/** Of a room for which no code was left: others are found by their records. @param {OpenRooms} rooms @param {string} room */
export function keyOfOpen({ byKey }, room) {
  return Object.keys(byKey).find((key) => byKey[key].some((open) => open.room === room));
}

/** @param {OpenRooms} rooms @param {string} key @param {Open} open */
export function offer(rooms, key, open) {
  if (rooms.count >= OPEN_KEPT) return;
  rooms.count += 1;
  (rooms.byKey[key] ??= []).push(open);
}

/** The room is full or locked, or has ended. @param {OpenRooms} rooms @param {string} key @param {string} room */
export function close(rooms, key, room) {
  const those = rooms.byKey[key];
  const at = those?.findIndex((open) => open.room === room) ?? -1;
  if (at === -1) return;
  rooms.count -= 1;
  those.splice(at, 1);
  if (those.length === 0) delete rooms.byKey[key];
}

/** Seats of an open room are taken. `limit`: the seats that it has, 0 for any number. @param {OpenRooms} rooms @param {string} key @param {Open} open @param {number} limit @param {number} [seats] */
export function take(rooms, key, open, limit, seats = 1) {
  open.taken += seats;
  if (limit > 0 && open.taken >= limit) close(rooms, key, open.room);
}
