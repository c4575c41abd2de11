// Draws the quiz.

import { $, each, element, setText } from "./dom.js";
import { drawPlayers, msUntil, open, say, secondsUntil } from "./page.js";

/** @import { Quiz, View } from "../shared/quiz.ts" */
/** @import { Game } from "./page.js" */

const PHASE_MS = { asking: 15_000, shown: 4_000 };

/** @type {View | undefined} */
let shown;
setInterval(drawClock, 250);

$("begin").addEventListener("click", () => send("start"));

/** @param {View} view */
function draw(view) {
  const { phase, question, right, chosen, players } = view;
  const isNew = question !== null && $("question").textContent !== question.text;
  shown = view;
  const best = Math.max(...players.map(({ points }) => points));
  drawPlayers(players.map((player) => ({
    ...player, turn: phase === "over" && player.points === best,
    note: `${player.points}${player.gained ? ` (+${player.gained})` : phase === "asking" && player.answered ? " ✓" : ""}`,
  })));
  setText($("status"), statusOf(view, best));
  setText($("question"), question?.text ?? (phase === "over" ? winners(view, best) : "Start when everybody is here. The link invites others."));
  each($("options"), question?.options ?? [], (option, at) => `${view.round} ${at} ${option}`, optionButton, (button, _, at) => {
    button.dataset.option = String(at);
    button.classList.toggle("chosen", chosen === at);
    button.classList.toggle("right", right === at);
    button.classList.toggle("wrong", right !== null && chosen === at && right !== at);
    button.setAttribute("aria-pressed", String(chosen === at));
    button.setAttribute("aria-disabled", String(phase !== "asking" || chosen !== null));
    setText(/** @type {HTMLElement} */ (button.children[1]), right === at ? "right" : chosen !== at ? "" : right === null ? "your answer" : "wrong");
  });
  $("begin").hidden = phase === "asking" || phase === "shown";
  setText($("begin"), phase === "over" ? "Play again" : "Start");
  if (isNew) {
    say(`Question ${view.round}: ${question.text}`);
    $("question").focus({ preventScroll: true });
  }
  drawClock();
}

/** @param {string} option */
function optionButton(option) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(element("span", "", option), element("span", "mark"));
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "false") send("answer", { round: shown?.round ?? 0, option: Number(button.dataset.option) });
  });
  return button;
}

/** @param {View} view @param {number} best */
function statusOf({ phase, round, chosen, right, players }, best) {
  if (phase === "waiting") return "Ready?";
  if (phase === "over") return players.find(({ you }) => you)?.points === best ? "You win!" : "The end";
  if (phase === "shown") return chosen === null ? "Too late" : chosen === right ? "Right!" : "Wrong";
  return `Question ${round}${chosen === null ? "" : ": waiting for the others"}`;
}

/** @param {View} view @param {number} best */
function winners({ players }, best) {
  const names = players.filter(({ points }) => points === best).map(({ name }) => name);
  return `${names.join(" and ")}: ${best} points`;
}

function drawClock() {
  const endsAt = shown?.endsAt ?? null, phase = shown?.phase;
  setText($("clock"), secondsUntil(endsAt));
  const all = phase === "asking" || phase === "shown" ? PHASE_MS[phase] : 0;
  $("time").style.width = endsAt === null || all === 0 ? "0" : `${Math.min(100, (100 * msUntil(endsAt)) / all)}%`;
}

/** @type {Game<Quiz>} */
const game = { kind: "quiz", draw };
const send = open(game);
