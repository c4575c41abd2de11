// Tic-tac-toe for two; every further player may watch.
//
// The lobby makes a room for two who wait, by `{ seats: [player, player] }`; in a room without that option, one that a player has
// created for a friend, the first two who come sit down. A seat belongs to a player's identity, so a player who comes back by a
// new session takes it up again.

import { Room } from "chorus";
import { emptyBoard, verdict } from "./board.js";

const TURN_SECONDS = 30;
const MAX_TURN_SECONDS = 3600;
/** How long a decided game waits for a rematch. */
const REMATCH_MS = 120_000;
/** How long the way back to the lobby may take. */
const CLOSING_MS = 10_000;

/**
 * @typedef {import("chorus").Player} Player
 * @typedef {import("./board.js").Seat} Seat
 * @typedef {import("./board.js").Board} Board
 * @typedef {{ id: string | null, name: string, session: string | null, connected: boolean }} Sitting
 * @typedef {{
 *   seats: Sitting[], board: Board, first: Seat, turn: Seat, turnMs: number, deadline: number | null,
 *   winner: Seat | "draw" | null, line: number[] | null, rematch: boolean[], closing: boolean,
 * }} State
 * @extends {Room<State>}
 */
export default class TicTacToe extends Room {
  // Four, for two seats: a seat's old session may still be held while its player's new one sits down.
  static config = { maxPlayers: 4, reconnectSeconds: 60 };
  static lobby = { seats: 2 };

  /** @param {{ seats?: (string | null)[], names?: string[], turnSeconds?: number }} options of a client, where the lobby has not set them */
  onCreate({ seats = [null, null], names, turnSeconds }) {
    if (!Array.isArray(seats) || seats.length !== 2) throw new Error("the option seats of tic-tac-toe is [player, player]");
    const seconds = turnSeconds !== undefined && turnSeconds > 0 && turnSeconds <= MAX_TURN_SECONDS ? turnSeconds : TURN_SECONDS;
    const first = /** @type {Seat} */ (this.random.int(2));
    this.state = {
      seats: seats.map((id, seat) => ({ id, name: names?.[seat] ?? "", session: null, connected: false })),
      board: emptyBoard(), first, turn: first, turnMs: seconds * 1000, deadline: null,
      winner: null, line: null, rematch: [false, false], closing: false,
    };
    if (!this.#isOpen()) this.#startGame(first);
  }

  /** @param {Player} player */
  onJoinAttempt(player) {
    if (this.state.closing) this.refuse("the game is over");
    return this.#freeSeatOf(player) === -1 || player.spectator ? "spectator" : true;
  }

  /** @param {Player} player */
  onJoin(player) {
    if (!player.spectator) {
      const { id, name, session } = player, wasOpen = this.#isOpen();
      Object.assign(this.state.seats[this.#freeSeatOf(player)], { id, name, session, connected: true });
      if (wasOpen && !this.#isOpen()) this.#startGame(this.state.first);
    }
    this.setMetadata({ players: this.state.seats.map(({ name }) => name), watching: this.players.filter((one) => one.spectator).length });
  }

  /** @param {Player} player */
  onDrop(player) {
    this.#setConnected(player, false, "away");
  }

  /** @param {Player} player */
  onReconnect(player) {
    this.#setConnected(player, true, "back");
  }

  /** @param {Player} player */
  onLeave(player) {
    const seat = this.#seatOf(player);
    if (seat !== null) {
      const waited = this.#isOpen();
      Object.assign(this.state.seats[seat], { session: null, connected: false }, waited ? { id: null, name: "" } : {});
      this.state.rematch[seat] = false;
      if (this.state.winner === null && !waited) this.#finish(other(seat), null, "left");
    }
    this.#closeWhenEmpty();
  }

  /** @param {Player} player @param {string} room @param {string} reason */
  onMoveFailed(player, room, reason) {
    player.send("failed", { room, reason });
  }

  /** @type {import("chorus").Messages} */
  messages = {
    move: (player, data) => {
      const seat = this.#mustSit(player);
      const { board, winner, turn } = this.state;
      const cell = data?.cell;
      if (!Number.isInteger(cell) || cell < 0 || cell > 8) this.refuse("a move needs a cell from 0 to 8");
      if (winner !== null) this.refuse("the game is over");
      if (this.#isOpen()) this.refuse("your opponent has not come yet");
      if (turn !== seat) this.refuse("it is not your turn");
      if (board[cell] !== null) this.refuse("the cell is taken");
      board[cell] = seat;
      this.broadcast("moved", { seat, cell });
      const end = verdict(board);
      if (end) this.#finish(end.winner, end.line, end.line ? "line" : "full");
      else this.#startTurn(other(seat));
      return {};
    },

    rematch: (player) => {
      const seat = this.#mustSit(player);
      if (this.state.winner === null) this.refuse("the game is not over");
      if (this.state.closing) this.refuse("the room is closing");
      if (this.state.seats[other(seat)].session === null) this.refuse("your opponent has left");
      if (!this.state.rematch[seat]) this.broadcast("rematch", { seat });
      this.state.rematch[seat] = true;
      const started = this.state.rematch.every(Boolean);
      if (started) this.#startGame(other(this.state.first));
      return { started };
    },

    leave: (player) => {
      player.moveTo("lobby");
      return {};
    },
  };

  timers = {
    turn: () => this.#finish(other(this.state.turn), null, "time"),

    /** No player requested a rematch. */
    over: () => {
      this.state.closing = true;
      this.lock();
      for (const player of this.players) if (player.connected) player.moveTo("lobby");
      this.schedule.after(CLOSING_MS, "close");
      this.#closeWhenEmpty();
    },

    close: () => this.#close(),
  };

  /** @param {State} state @param {Player} player */
  view({ seats, board, turn, deadline, winner, line, rematch }, player) {
    const shown = seats.map(({ name, connected }) => ({ name, connected }));
    return { board, seats: shown, turn, you: this.#seatOf(player), deadline, winner, line, rematch };
  }

  /** @param {Seat} first */
  #startGame(first) {
    Object.assign(this.state, { board: emptyBoard(), first, winner: null, line: null, rematch: [false, false] });
    this.schedule.cancel("over");
    this.#startTurn(first);
  }

  /** @param {Seat} seat */
  #startTurn(seat) {
    this.state.turn = seat;
    this.state.deadline = this.now() + this.state.turnMs;
    this.schedule.after(this.state.turnMs, "turn");
  }

  /**
   * The game is decided. The lobby is notified at once; the room stays for a rematch.
   * @param {Seat | "draw"} winner @param {number[] | null} line @param {string} reason
   */
  #finish(winner, line, reason) {
    Object.assign(this.state, { winner, line, deadline: null });
    this.schedule.cancel("turn");
    this.schedule.after(REMATCH_MS, "over");
    this.broadcast("ended", { winner, line, reason });
    if (this.creator) this.rooms.send(this.creator, { result: this.#outcome() });
    this.#closeWhenEmpty();
  }

  #outcome() {
    return { winner: this.state.winner, players: this.state.seats.map(({ id, name }) => ({ id, name })) };
  }

  /** With the game decided and neither player here there is nothing left to wait for. */
  #closeWhenEmpty() {
    const { winner, seats, closing } = this.state;
    if (winner === null || seats.some(({ session }) => session !== null)) return;
    if (this.players.size === 0) return this.#close();
    if (!closing) this.timers.over();
  }

  #close() {
    this.end(this.#outcome());
  }

  /** @param {Player} player @returns {Seat} */
  #mustSit(player) {
    const seat = this.#seatOf(player);
    return seat === null ? this.refuse("you are watching") : seat;
  }

  /** @param {Player} player @returns {Seat | null} */
  #seatOf({ session }) {
    const seat = this.state.seats.findIndex((sitting) => sitting.session === session);
    return seat === -1 ? null : /** @type {Seat} */ (seat);
  }

  /** A seat of this player that is free, or whose session is disconnected; or a seat that is nobody's yet. @param {Player} player */
  #freeSeatOf({ id }) {
    const { seats } = this.state;
    const own = seats.findIndex((sitting) => sitting.id === id && !sitting.connected);
    return own === -1 && seats.every((sitting) => sitting.id !== id) ? seats.findIndex((sitting) => sitting.id === null) : own;
  }

  /** Whether a seat is nobody's yet: the game has not begun. */
  #isOpen() {
    return this.state.seats.some(({ id }) => id === null);
  }

  /** @param {Player} player @param {boolean} connected @param {string} event */
  #setConnected(player, connected, event) {
    const seat = this.#seatOf(player);
    if (seat === null) return;
    this.state.seats[seat].connected = connected;
    this.broadcast(event, { seat }, { except: player });
  }
}

/** @param {Seat} seat @returns {Seat} */
function other(seat) {
  return seat === 0 ? 1 : 0;
}
