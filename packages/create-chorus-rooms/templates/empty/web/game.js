// Draws the counter.

import { $, setText } from "./dom.js";
import { drawPlayers, open, send } from "./page.js";

/** @import { View } from "../shared/counter.ts" */

$("more").addEventListener("click", () => send("press", { by: 1 }));
$("less").addEventListener("click", () => send("press", { by: -1 }));

/** @param {View} view */
function draw({ count, players }) {
  setText($("count"), String(count));
  drawPlayers(players.map((player) => ({ ...player, note: `${player.presses} presses` })));
}

open({ kind: "counter", draw });
