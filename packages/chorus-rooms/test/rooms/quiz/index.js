// A quiz in rounds: the room asks, all answer, the points are shown, and the next question comes.

import { Room } from "chorus";

const ASK_MS = 5_000, SHOW_MS = 3_000, HINT_MS = 2_000;

/**
 * @typedef {{ phase: "waiting" | "asking" | "shown", a: number, b: number, answers: Record<string, number>, points: Record<string, number> }} State
 * @extends {Room<State>}
 */
export default class Quiz extends Room {
  onCreate() {
    this.state = /** @type {State} */ ({ phase: "waiting", a: 0, b: 0, answers: {}, points: {} });
  }

  /** @param {import("chorus").Player} player */
  onJoin(player) {
    this.state.points[player.id] ??= 0;
    if (this.state.phase === "waiting" && this.players.size >= 2) this.#ask();
  }

  onDrop() { this.#closeWhenAnswered(); }

  /** @param {import("chorus").Player} player */
  onLeave(player) {
    if (this.players.of(player.id).length === 0) {
      delete this.state.points[player.id];
      delete this.state.answers[player.id];
    }
    if (this.players.size < 2) this.#stop();
    else this.#closeWhenAnswered();
  }

  /** @type {import("chorus").Messages} */
  messages = {
    answer: (player, data) => {
      if (this.state.phase !== "asking") this.refuse("there is no question");
      if (!Number.isInteger(data?.sum)) this.refuse("an answer is a whole number");
      if (this.state.answers[player.id] !== undefined) this.refuse("you have answered");
      this.state.answers[player.id] = data.sum;
      this.#closeWhenAnswered();
    },
    hint: (player) => {
      if (this.state.phase !== "asking") this.refuse("there is no question");
      this.schedule.after(HINT_MS, "hint", player.session);
    },
  };

  timers = {
    ask: () => this.#ask(),
    close: () => this.#close(),
    /** @param {string} session */
    hint: (session) => this.players.get(session)?.send("hint", { atLeast: this.state.a }),
  };

  /** @param {State} state */
  view({ phase, a, b, points }) { return { phase, question: phase === "asking" ? [a, b] : null, points }; }

  #ask() {
    Object.assign(this.state, { phase: "asking", a: this.random.int(50), b: this.random.int(50), answers: {} });
    this.schedule.after(ASK_MS, "close");
  }

  /** All who can still answer have. */
  #closeWhenAnswered() {
    const { phase, answers } = this.state;
    const awaited = this.players.filter(({ id, connected }) => connected && answers[id] === undefined);
    if (phase === "asking" && awaited.length === 0) this.#close();
  }

  #close() {
    const { a, b, answers, points } = this.state;
    for (const [id, sum] of Object.entries(answers)) if (sum === a + b) points[id] += 1;
    this.state.phase = "shown";
    this.schedule.cancel("close");
    this.schedule.after(SHOW_MS, "ask");
  }

  #stop() {
    this.state.phase = "waiting";
    this.schedule.cancel("ask");
    this.schedule.cancel("close");
  }
}
