// What the room, the page and the tests have in common: the board, and the types of what is sent, stored and seen. They are imported as types, so
// that a wrong name is an error in each (`npm run types`).

export interface TicTacToe {
  /** What a client may send: the data, and the reply. */
  messages: { move(data: { cell: number }): void; again(): void };
  /** What the room sends. */
  events: { left: { name: string } };
  state: State;
  view: View;
  timers: { turn: void };
}

/** The seats: 0 has crosses, 1 has noughts. */
export type Seat = 0 | 1;
export type Board = (Seat | null)[];

export interface Sitting { session: string; name: string; connected: boolean; wantsAgain: boolean }

/** What the room stores. Members receive the view in its place. */
export interface State {
  seats: (Sitting | null)[];
  board: Board;
  first: Seat;
  turn: Seat;
  endsAt: number | null;
  winner: Seat | "draw" | null;
  line: number[];
}

/** What a member sees. */
export interface View {
  /** By seat; null while nobody has it. */
  seats: ({ name: string; connected: boolean; wantsAgain: boolean } | null)[];
  you: Seat;
  board: Board;
  turn: Seat;
  /** When the turn ends, in milliseconds since 1970; null while no game goes on. */
  endsAt: number | null;
  winner: Seat | "draw" | null;
  /** The cells that have won. */
  line: number[];
}

const LINES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

export function emptyBoard(): Board {
  return Array(9).fill(null);
}

/** The line that one player has; undefined without one. */
export function lineIn(board: Board): number[] | undefined {
  return LINES.find(([a, b, c]) => board[a] !== null && board[a] === board[b] && board[a] === board[c]);
}
