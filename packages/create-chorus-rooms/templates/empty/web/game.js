// Draws the counter.

import { $, setText } from "./dom.js";
import { drawPlayers, open } from "./page.js";

/** @import { Counter, View } from "../shared/counter.ts" */
/** @import { Game } from "./page.js" */

$("more").addEventListener("click", () => send("press", { by: 1 }));
$("less").addEventListener("click", () => send("press", { by: -1 }));

/** @param {View} view */
function draw({ count, players }) {
  setText($("count"), String(count));
  drawPlayers(players.map((player) => ({ ...player, note: `${player.presses} presses` })));
}

/** @type {Game<Counter>} */
const game = { kind: "counter", draw };
const send = open(game);
