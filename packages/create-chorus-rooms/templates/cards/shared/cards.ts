// What the room and the page have in common: the cards, and what a member sees.

/** 0 to 35: four colours of nine numbers. */
export type Card = number;

export const CARDS = 36;

export function colorOf(card: Card): number { return Math.floor(card / 9); }
export function numberOf(card: Card): number { return (card % 9) + 1; }
export function fits(card: Card, top: Card): boolean { return colorOf(card) === colorOf(top) || numberOf(card) === numberOf(top); }

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
