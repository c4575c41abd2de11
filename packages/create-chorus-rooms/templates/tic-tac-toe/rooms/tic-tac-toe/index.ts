// Tic-tac-toe. A player who leaves in the middle frees the seat, and the other one waits for the next player; a turn that takes too long loses.

import { Room, type Messages, type Player, type Timers } from "chorus";

import { emptyBoard, lineIn, type Seat, type Sitting, type State, type TicTacToe, type View } from "../../shared/tic-tac-toe.ts";

const TURN_MS = 30_000;

export default class TicTacToeRoom extends Room<TicTacToe> {
  static config = { maxPlayers: 2, reconnectSeconds: 60 };

  onCreate() {
    this.state = { seats: [null, null], board: emptyBoard(), first: 0, turn: 0, endsAt: null, winner: null, line: [] };
  }

  onJoin({ session, name }: Player) {
    const { seats } = this.state;
    seats[seats.indexOf(null)] = { session, name, connected: true, wantsAgain: false };
    if (!seats.includes(null)) this.#begin(this.random.int(2) as Seat);
  }

  onDrop(player: Player) {
    this.#sitting(player).connected = false;
  }

  onReconnect(player: Player) {
    this.#sitting(player).connected = true;
  }

  onLeave(player: Player) {
    this.state.seats[this.#seatOf(player)] = null;
    this.schedule.cancel("turn");
    Object.assign(this.state, { board: emptyBoard(), endsAt: null, winner: null, line: [] });
    this.broadcast("left", { name: player.name });
  }

  messages: Messages<TicTacToe> = {
    // A client may send any JSON, also what is not of the declared type.
    move: (player, data) => {
      const { seats, board, turn, winner } = this.state, cell = data?.cell;
      if (winner !== null) this.refuse("the game is over");
      if (seats.includes(null)) this.refuse("wait for the other player");
      if (turn !== this.#seatOf(player)) this.refuse("it is not your turn");
      if (!Number.isInteger(cell) || cell < 0 || cell > 8) this.refuse("cell is 0 to 8");
      if (board[cell] !== null) this.refuse("the cell is taken");
      board[cell] = turn;
      const line = lineIn(board);
      if (line) this.#finish(turn, line);
      else if (!board.includes(null)) this.#finish("draw");
      else this.#turn(other(turn));
    },

    again: (player) => {
      if (this.state.winner === null) this.refuse("the game is not over");
      this.#sitting(player).wantsAgain = true;
      if (this.state.seats.every((sitting) => sitting?.wantsAgain)) this.#begin(other(this.state.first));
    },
  };

  timers: Timers<TicTacToe> = { turn: () => this.#finish(other(this.state.turn)) };

  view({ seats, board, turn, endsAt, winner, line }: State, { session }: Player): View {
    return {
      seats: seats.map((sitting) => sitting && { name: sitting.name, connected: sitting.connected, wantsAgain: sitting.wantsAgain }),
      you: seats.findIndex((sitting) => sitting?.session === session) as Seat,
      board, turn, endsAt, winner, line,
    };
  }

  #begin(first: Seat) {
    for (const sitting of this.state.seats) sitting!.wantsAgain = false;
    Object.assign(this.state, { board: emptyBoard(), first, winner: null, line: [] });
    this.#turn(first);
  }

  #turn(turn: Seat) {
    Object.assign(this.state, { turn, endsAt: this.now() + TURN_MS });
    this.schedule.after(TURN_MS, "turn");      // replaces the one before
  }

  #finish(winner: Seat | "draw", line: number[] = []) {
    Object.assign(this.state, { winner, line, endsAt: null });
    this.schedule.cancel("turn");
  }

  #seatOf({ session }: Player): number {
    return this.state.seats.findIndex((sitting) => sitting?.session === session);
  }

  #sitting(player: Player): Sitting {
    return this.state.seats[this.#seatOf(player)]!;
  }
}

function other(seat: Seat): Seat {
  return seat === 0 ? 1 : 0;
}
