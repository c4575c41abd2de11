// The game itself: nine cells, eight lines.

/** @typedef {0 | 1} Seat @typedef {(Seat | null)[]} Board */

export const LINES = [
  [0, 1, 2], [3, 4, 5], [6, 7, 8],
  [0, 3, 6], [1, 4, 7], [2, 5, 8],
  [0, 4, 8], [2, 4, 6],
];

/** @returns {Board} */
export function emptyBoard() {
  return Array(9).fill(null);
}

/** How the game stands: null while it goes on. @param {Board} board @returns {{ winner: Seat | "draw", line: number[] | null } | null} */
export function verdict(board) {
  for (const line of LINES) {
    const mark = board[line[0]];
    if (mark !== null && mark === board[line[1]] && mark === board[line[2]]) return { winner: mark, line };
  }
  return board.includes(null) ? null : { winner: "draw", line: null };
}
