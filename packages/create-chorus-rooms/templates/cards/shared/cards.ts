// What the room, the page and the tests have in common: the cards, and the types of what is sent, stored and seen. They are imported as types, so
// that a wrong name is an error in each (`npm run types`).

/** 0 to 35: four colours of nine numbers. */
export type Card = number;

export const CARDS = 36;

export function colorOf(card: Card): number { return Math.floor(card / 9); }
export function numberOf(card: Card): number { return (card % 9) + 1; }
export function fits(card: Card, top: Card): boolean { return colorOf(card) === colorOf(top) || numberOf(card) === numberOf(top); }

export interface Cards {
  /** What a client may send: the data, and the reply. */
  messages: { deal(): void; play(data: { card: Card }): void; draw(): void };
  state: State;
  view: View;
  timers: { turn: void };
}

/** The hand: null for one who comes in at the next deal. */
export interface Seat { session: string; name: string; connected: boolean; hand: Card[] | null }

/** What the room stores. Members receive the view in its place, which hides the hands of others and the deck. */
export interface State {
  phase: View["phase"];
  seats: Seat[];
  /** A session; null while no game goes on. */
  turn: string | null;
  deck: Card[];
  /** The last one is on top. */
  pile: Card[];
  /** Turns in a row in which nobody could play or draw. */
  passes: number;
  endsAt: number | null;
  winner: { session: string; name: string } | null;
}

/** What a member sees. */
export interface View {
  phase: "waiting" | "playing" | "over";
  /** In the order of turns. `cards`: how many; null for one who comes in at the next deal. */
  players: { name: string; you: boolean; connected: boolean; cards: number | null; turn: boolean }[];
  /** This member's hand alone. */
  hand: Card[];
  /** Those of the hand that fit; none while it is another's turn. */
  playable: Card[];
  top: Card | null;
  /** How many cards are in the deck. */
  deck: number;
  endsAt: number | null;
  winner: { name: string; you: boolean } | null;
}
