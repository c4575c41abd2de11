// What the room, the page and the tests have in common. The types of what is sent, stored and seen are imported as types, so that a wrong name is
// an error in each (`npm run types`).

/** Milliseconds for an answer, and for looking at the right one. */
export const ASK_MS = 15_000, SHOW_MS = 4_000;
export const ROUNDS = 5;

export interface Quiz {
  /** What a client may send: the data, and the reply. */
  messages: { start(): void; answer(data: { round: number; option: number }): void };
  state: State;
  view: View;
  timers: { bot: void; show: void; next: void };
}

export interface Entrant { session: string; name: string; connected: boolean; points: number; option: number | null; gained: number | null }

/** What the room stores. Members receive the view in its place, which hides the right option. */
export interface State {
  phase: View["phase"];
  round: number;
  /** Places in `QUESTIONS`, of this game. */
  order: number[];
  endsAt: number | null;
  /** The bot first, then the members in the order of joining. */
  entrants: Entrant[];
}

/** What a member sees. */
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
