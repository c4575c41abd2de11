// What the room and the page have in common.

/** Milliseconds for an answer, and for looking at the right one. */
export const ASK_MS = 15_000, SHOW_MS = 4_000;
export const ROUNDS = 5;

export interface View {
  /** Before the first question, during one, after one, after the last. */
  phase: "waiting" | "asking" | "shown" | "over";
  /** From 1 to `ROUNDS`; 0 before the first. */
  round: number;
  question: { text: string; options: string[] } | null;
  /** The right option: null while it may be answered. */
  right: number | null;
  /** When the phase ends, in milliseconds since 1970. */
  endsAt: number | null;
  /** The option that this member has chosen. */
  chosen: number | null;
  players: { name: string; bot: boolean; you: boolean; connected: boolean; points: number; answered: boolean; gained: number | null }[];
}
