// What a player's token claims: for the hooks of a join and of an upgrade alone. It is in the record, and in no state.

import * as primordials from "./primordials.js";

/** The player of the event in hand, and its claims as JSON, empty without any. */
const NONE = { player: undefined, text: "" };
let current = NONE;

/** Runs hooks in which `player.claims` is what this text holds. */
export function withClaims(player, text, run) {
  // Most players have none, and a variable that is written to costs the room a page of memory.
  if (text === "") return run();
  current = { player, text };
  try {
    return run();
  } finally {
    current = NONE;
  }
}

/** Gives the class `Player` its getter. Each read parses: a change by the script has no effect on the next read. */
export function addClaims(Player) {
  primordials.defineProperty(Player.prototype, "claims", {
    get() { return this === current.player && current.text !== "" ? primordials.parse(current.text) : undefined; },
    configurable: true,
    enumerable: false,
  });
}
