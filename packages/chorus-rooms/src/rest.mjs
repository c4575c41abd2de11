// A room comes to rest: all players leave, and what is still to come comes. Timers that are set again and again in an empty room keep
// it from hibernation, and cost as much as a room in play.

import { Broken } from "./virtual-room.mjs";

/** How often timers may fire in an empty room, and how long it is watched. */
const FIRINGS = 10;
const WATCHED_MS = 24 * 60 * 60 * 1000;

export function rest(room, { ticksWhenEmpty = false } = {}) {
  for (const session of [...room.members.keys()]) if (room.ended === undefined) room.leave(session);
  if (room.ended !== undefined || room.members.size > 0) return;
  const until = room.now + WATCHED_MS, before = room.firings;
  while (room.ended === undefined && room.failures.length === 0) {
    const next = room.nextDue();
    if (next === undefined || next.due > until) return;
    room.advance(Math.max(0, next.due - room.now));
    if (room.firings - before > FIRINGS) {
      if (ticksWhenEmpty) return;
      throw new Broken("timers", `timers.${next.timer ?? "…"} is set again and again when nobody is in the room: cancel it in onLeave when the last player has left`);
    }
  }
}
