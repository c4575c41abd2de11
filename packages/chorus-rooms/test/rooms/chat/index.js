// A chat with its latest lines.

import { Room } from "chorus";

const KEPT = 50, MOST = 200;
const FLOOD_MS = 500;

/**
 * @typedef {{ lines: { from: string, text: string }[], last: Record<string, number> }} State
 * @extends {Room<State>}
 */
export default class Chat extends Room {
  static config = { keepWhenEmpty: true };

  onCreate() { this.state = { lines: [], last: {} }; }

  /** @param {import("chorus").Player} player */
  onLeave(player) { delete this.state.last[player.session]; }

  /** @type {import("chorus").Messages} */
  messages = {
    say: (player, data) => {
      const text = data?.text;
      if (typeof text !== "string" || text.trim() === "" || text.length > MOST) this.refuse(`a line has 1 to ${MOST} characters`);
      if (this.now() - (this.state.last[player.session] ?? 0) < FLOOD_MS) this.refuse("not so fast");
      this.state.last[player.session] = this.now();
      this.state.lines.push({ from: player.name, text: text.trim() });
      if (this.state.lines.length > KEPT) this.state.lines.shift();
    },
    clear: () => { this.state.lines = []; },
  };

  /** @param {State} state */
  view({ lines }) { return { lines }; }
}
