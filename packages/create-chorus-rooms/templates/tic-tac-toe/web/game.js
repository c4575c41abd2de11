// Draws the board.

import { $, each, setText } from "./dom.js";
import { drawPlayers, open, secondsUntil, toast } from "./page.js";

/** @import { TicTacToe, View } from "../shared/tic-tac-toe.ts" */
/** @import { Game } from "./page.js" */

const MARKS = ["✕", "◯"], NAMES = ["cross", "nought"];

/** When the turn ends. @type {number | null} */
let endsAt = null;
setInterval(drawClock, 250);

$("again").addEventListener("click", () => send("again"));

/** @param {View} view */
function draw(view) {
  const { seats, you, board, turn, winner, line } = view;
  endsAt = view.endsAt;
  drawPlayers(seats.map((sitting, seat) => ({
    name: sitting?.name ?? "A free seat", connected: sitting?.connected ?? true, you: seat === you, turn: endsAt !== null && seat === turn,
    note: sitting?.wantsAgain ? `${MARKS[seat]} plays again` : MARKS[seat],
  })));
  setText($("status"), statusOf(view));
  const isMine = endsAt !== null && turn === you;
  each($("board"), board, (_, cell) => cell, cellButton, (button, mark, cell) => {
    if (mark === null) delete button.dataset.mark;
    else button.dataset.mark = String(mark);
    button.setAttribute("aria-label", `Row ${Math.floor(cell / 3) + 1}, column ${(cell % 3) + 1}: ${mark === null ? "free" : NAMES[mark]}`);
    // Not `disabled`, so that the keyboard's focus stays.
    button.setAttribute("aria-disabled", String(!isMine || mark !== null));
    button.classList.toggle("won", line.includes(cell));
  });
  $("again").hidden = winner === null;
  /** @type {HTMLButtonElement} */ ($("again")).disabled = seats[you]?.wantsAgain ?? false;
  drawClock();
}

function cellButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "false") send("move", { cell: Number(button.dataset.key) });
  });
  return button;
}

/** @param {View} view */
function statusOf({ seats, you, turn, winner }) {
  const opponent = seats[1 - you];
  if (opponent === null) return "Invite a friend: send the link";
  if (winner === "draw") return "A draw";
  if (winner !== null) return winner === you ? "You win!" : `${opponent.name} wins`;
  return turn === you ? "Your turn" : `${opponent.name}'s turn`;
}

function drawClock() {
  setText($("clock"), secondsUntil(endsAt));
}

/** @type {Game<TicTacToe>} */
const game = {
  kind: "tic-tac-toe",
  draw,
  entered: (room) => room.on("left", ({ name }) => toast(`${name} has left the game.`)),
};
const send = open(game);
