// What the room and the page have in common: the board, and what a member sees.

/** The seats: 0 has crosses, 1 has noughts. */
export type Seat = 0 | 1;
export type Board = (Seat | null)[];

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
