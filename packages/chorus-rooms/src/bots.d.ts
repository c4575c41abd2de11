/** Bots: the default export of the module of `chorus bots`. See docs/testing.md. */

import type { Chorus, Room } from "../../../clients/js/chorus.js";
import type { Dice } from "./test.js";

export interface BotContext {
  /** Connected; its calls are timed. */
  client: Chorus;
  /** The room that every session joins first. */
  room: Room;
  /** From 0. */
  index: number;
  random: Dice;
  /** Aborted when the time is over. */
  signal: AbortSignal;
  /** Resolves after a time, or when the time is over. */
  sleep(ms: number): Promise<void>;
}

/** Returns when the bot is done. A rejection is a failure. */
export type Bot = (context: BotContext) => unknown;
