// Draws the table and this player's hand.

import { $, each, element, setText } from "./dom.js";
import { drawPlayers, open, secondsUntil } from "./page.js";

/** @import { Cards, View } from "../shared/cards.ts" */
/** @import { Game } from "./page.js" */

// A sign beside the colour, for those who do not tell the colours apart.
const COLORS = ["red", "blue", "green", "yellow"], SIGNS = ["♥", "◆", "♣", "★"];

/** When the turn ends. @type {number | null} */
let endsAt = null;
setInterval(() => setText($("clock"), secondsUntil(endsAt)), 250);

const drawButton = /** @type {HTMLButtonElement} */ ($("draw"));
drawButton.addEventListener("click", () => send("draw"));
$("deal").addEventListener("click", () => send("deal"));

/** @param {View} view */
function draw(view) {
  const { phase, players, hand, playable, top, deck } = view;
  const isMine = players.some(({ you, turn }) => you && turn);
  endsAt = view.endsAt;
  drawPlayers(players.map((player) => ({ ...player, note: player.cards === null ? (phase === "waiting" ? "" : "from the next deal") : cards(player.cards) })));
  setText($("status"), statusOf(view));
  setText($("clock"), secondsUntil(endsAt));
  each($("pile"), [top], (card) => String(card), topCard, () => {});
  drawButton.disabled = !isMine;
  drawButton.setAttribute("aria-label", `Draw a card: the deck has ${deck}`);
  setText($("deck"), String(deck));
  each($("hand"), hand, (card) => card, handCard, (button, card) => button.setAttribute("aria-disabled", String(!playable.includes(card))));
  $("deal").hidden = phase === "playing";
  setText($("deal"), phase === "over" ? "Deal again" : "Deal");
  /** @type {HTMLButtonElement} */ ($("deal")).disabled = players.length < 2;
}

/** A new element for a new card on top, so that it is animated. @param {number | null} card */
function topCard(card) {
  const made = element("div", "playing-card");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", card === null ? "No card is on the table" : `On top: ${nameOf(card)}`);
  if (card !== null) face(made, card);
  return made;
}

/** @param {number} card */
function handCard(card) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", nameOf(card));
  face(button, card);
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "false") send("play", { card });
  });
  return button;
}

/** @param {HTMLElement} at @param {number} card */
function face(at, card) {
  at.dataset.color = String(Math.floor(card / 9));
  at.append(element("span", "sign", SIGNS[Math.floor(card / 9)]), String((card % 9) + 1));
}

/** @param {number} card */
function nameOf(card) {
  return `${COLORS[Math.floor(card / 9)]} ${(card % 9) + 1}`;
}

/** @param {number} count */
function cards(count) {
  return count === 1 ? "last card!" : `${count} cards`;
}

/** @param {View} view */
function statusOf({ phase, players, playable, winner }) {
  if (phase === "waiting") return players.length < 2 ? "Invite a friend: send the link" : "Deal when everybody is here";
  if (winner !== null) return winner.you ? "You win!" : `${winner.name} wins`;
  const onTurn = players.find(({ turn }) => turn);
  if (!onTurn?.you) return `${onTurn?.name}'s turn`;
  return playable.length > 0 ? "Your turn" : "Your turn: draw a card";
}

/** @type {Game<Cards>} */
const game = { kind: "cards", draw };
const send = open(game);
