// Hidden hands: the highest sum of three cards wins. Up to three play, and the cards are dealt a moment after the second has come.

import { Room } from "chorus";

const SEATS = 3, HAND = 3;
const DEAL_MS = 3_000, SHOW_MS = 10_000;

/**
 * @typedef {{ seats: string[], hands: Record<string, number[]>, shown: boolean }} State
 * @extends {Room<State>}
 */
export default class Cards extends Room {
  onCreate() { this.state = { seats: [], hands: {}, shown: false }; }

  /** @param {import("chorus").Player} player */
  onJoinAttempt(player) {
    const { seats } = this.state;
    if (this.#hasDealt() || seats.length >= SEATS || seats.includes(player.id)) return "spectator";
    return true;
  }

  /** @param {import("chorus").Player} player */
  onJoin(player) {
    if (player.spectator) return;
    this.state.seats.push(player.id);
    if (this.state.seats.length === 2) this.schedule.after(DEAL_MS, "deal");
  }

  /** @param {import("chorus").Player} player */
  onLeave(player) {
    if (player.spectator) return;
    this.state.seats = this.state.seats.filter((id) => id !== player.id);
    delete this.state.hands[player.id];
    if (this.state.seats.length < 2) this.#collect();
  }

  /** @type {import("chorus").Messages} */
  messages = {
    show: (player) => {
      if (!this.#hasDealt() || player.spectator) this.refuse("you have no cards");
      if (this.state.shown) this.refuse("the cards are on the table");
      this.state.shown = true;
      this.schedule.after(SHOW_MS, "collect");
    },
  };

  timers = {
    deal: () => {
      const deck = this.random.shuffle(Array.from({ length: 52 }, (_, card) => card));
      this.state.hands = Object.fromEntries(this.state.seats.map((id) => [id, deck.splice(0, HAND)]));
    },
    collect: () => {
      this.#collect();
      if (this.state.seats.length >= 2) this.schedule.after(DEAL_MS, "deal");
    },
  };

  /** @param {State} state @param {import("chorus").Player} player */
  view({ seats, hands, shown }, player) {
    if (shown) return { seats, hands };
    return { seats, hands: player.spectator ? {} : { [player.id]: hands[player.id] ?? [] } };
  }

  #hasDealt() { return Object.keys(this.state.hands).length > 0; }

  #collect() {
    Object.assign(this.state, { hands: {}, shown: false });
    this.schedule.cancel("deal");
    this.schedule.cancel("collect");
  }
}
