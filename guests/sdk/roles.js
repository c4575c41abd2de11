// Sitting down and standing up: a spectator becomes a player, a player becomes a spectator. The host checks the same
// (`core/src/room/roles.rs`), and there an excess is a fault.

import { emit } from "./call.js";
import { allowed } from "./limits.js";
import { reportSeats } from "./lobby.js";
import { bySession, playerCount, setRole } from "./player.js";
import { RangeError, TypeError } from "./primordials.js";

/** Whether all players' seats are taken; `leaving`: by players that stay. */
export function isFull(leaving = 0) { return allowed.players > 0 && playerCount() - leaving >= allowed.players; }

export function sit(player) {
  mustBeMember(player, "player.sit");
  if (!player.spectator) throw new TypeError("player.sit: this member is a player already");
  if (isFull()) throw new RangeError(`player.sit: the room has ${playerCount()} players, the most that it may have (config.maxPlayers)`);
  emit("sit", [player.session], "player.sit");
  setRole(player, false);
  reportSeats(-1);
}

export function stand(player) {
  mustBeMember(player, "player.stand");
  if (player.spectator) throw new TypeError("player.stand: this member is a spectator already");
  emit("stand", [player.session], "player.stand");
  setRole(player, true);
  reportSeats(1);
}

/** In onJoinAttempt the newcomer is no member yet, and in onLeave the player is one no longer. */
function mustBeMember(player, what) {
  if (bySession.get(player.session) !== player) throw new TypeError(`${what}: the player is not in this room`);
}
