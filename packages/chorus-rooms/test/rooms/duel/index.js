// Nim for two, for coins: the player who takes the last stone wins the pot. Further members watch.

import { Room } from "chorus";

const STAKE = 10, PURSE = 100, STONES = 9;
const TURN_MS = 30_000;

/**
 * @typedef {{ purses: Record<string, number>, issued: number, seats: { id: string, session: string }[], pot: number, stones: number,
 *   turn: number | null, winner: string | null }} State
 * @extends {Room<State>}
 */
export default class Duel extends Room {
  onCreate() {
    this.state = { purses: {}, issued: 0, seats: [], pot: 0, stones: STONES, turn: null, winner: null };
  }

  /** @param {import("chorus").Player} player */
  onJoin(player) {
    if (this.state.purses[player.id] === undefined) {
      this.state.purses[player.id] = PURSE;
      this.state.issued += PURSE;
    }
    this.#sit(player);
  }

  /** The stake of a game that has not begun is given back. @param {import("chorus").Player} player */
  onDrop(player) {
    if (this.state.turn === null) this.#standUp(player);
  }

  /** @param {import("chorus").Player} player */
  onReconnect(player) { this.#sit(player); }

  /** @param {import("chorus").Player} player */
  onLeave(player) {
    const seat = this.#seatOf(player);
    if (this.state.turn !== null && seat !== -1) this.#finish(1 - seat);
    this.#standUp(player);
    if (this.players.of(player.id).length > 0) return;
    this.state.issued -= this.state.purses[player.id];
    delete this.state.purses[player.id];
  }

  /** @type {import("chorus").Messages} */
  messages = {
    take: (player, data) => {
      const count = data?.count;
      if (this.state.turn === null || this.#seatOf(player) !== this.state.turn) this.refuse("it is not your turn");
      if (!Number.isInteger(count) || count < 1 || count > 3 || count > this.state.stones) this.refuse("take 1 to 3 stones");
      this.state.stones -= count;
      if (this.state.stones === 0) return this.#finish(this.state.turn);
      this.#startTurn(1 - this.state.turn);
    },
    again: (player) => {
      if (this.state.turn !== null) this.refuse("the game is not over");
      this.#sit(player);
    },
  };

  timers = {
    turn: () => this.#finish(1 - (this.state.turn ?? 0)),
  };

  /** @param {import("chorus").Player} player */
  #seatOf({ session }) { return this.state.seats.findIndex((seat) => seat.session === session); }

  /** @param {import("chorus").Player} player */
  #sit({ id, session, connected }) {
    const { seats, purses, turn } = this.state;
    if (turn !== null || !connected || seats.length === 2 || seats.some((seat) => seat.id === id) || purses[id] < STAKE) return;
    seats.push({ id, session });
    purses[id] -= STAKE;
    this.state.pot += STAKE;
    if (seats.length < 2) return;
    Object.assign(this.state, { stones: STONES, winner: null });
    this.#startTurn(0);
  }

  /** @param {import("chorus").Player} player */
  #standUp(player) {
    const at = this.#seatOf(player);
    if (at === -1) return;
    this.state.seats.splice(at, 1);
    this.state.pot -= STAKE;
    this.state.purses[player.id] += STAKE;
  }

  /** @param {number} seat */
  #startTurn(seat) {
    this.state.turn = seat;
    this.schedule.after(TURN_MS, "turn");
  }

  /** @param {number} seat */
  #finish(seat) {
    const { id } = this.state.seats[seat];
    this.state.purses[id] += this.state.pot;
    Object.assign(this.state, { pot: 0, seats: [], turn: null, winner: id });
    this.schedule.cancel("turn");
    this.broadcast("won", { id });
  }
}
