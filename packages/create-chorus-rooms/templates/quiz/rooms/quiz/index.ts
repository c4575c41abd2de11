// A quiz in rounds. The bot is an entrant without a connection: it answers by a timer, and is beaten by those who know more.

import { Room, type Messages, type Player, type Timers } from "chorus";

import { ASK_MS, ROUNDS, SHOW_MS, type Entrant, type Quiz, type State, type View } from "../../shared/quiz.ts";
import { QUESTIONS } from "./questions.js";

/** No session: those are hexadecimal. */
const BOT = "bot";
const BOT_KNOWS = 0.6, BOT_MS = { least: 3_000, most: 10_000 };
const POINTS = 100;

export default class QuizRoom extends Room<Quiz> {
  static config = { maxPlayers: 8, reconnectSeconds: 60 };

  onCreate() {
    this.state = { phase: "waiting", round: 0, order: [], endsAt: null, entrants: [entrant(BOT, "Bot")] };
  }

  onJoin({ session, name }: Player) {
    this.state.entrants.push(entrant(session, name));
  }

  onDrop(player: Player) {
    this.#entrant(player).connected = false;
    this.#showWhenAnswered();
  }

  onReconnect(player: Player) {
    this.#entrant(player).connected = true;
  }

  onLeave({ session }: Player) {
    this.state.entrants = this.state.entrants.filter((one) => one.session !== session);
    if (this.players.size === 0) this.#stop();
    else this.#showWhenAnswered();
  }

  messages: Messages<Quiz> = {
    /** Begins a game, or the next one. */
    start: () => {
      const { phase, entrants } = this.state;
      if (phase === "asking" || phase === "shown") this.refuse("the game goes on");
      for (const one of entrants) one.points = 0;
      this.state.round = 0;
      this.state.order = this.random.shuffle(QUESTIONS.map((_, at) => at)).slice(0, ROUNDS);
      this.#ask();
    },

    // A client may send any JSON, also what is not of the declared type.
    answer: (player, data) => {
      const { phase } = this.state, own = this.#entrant(player);
      if (phase !== "asking") this.refuse("there is no question");
      // An answer to the previous question may be on its way when the next one is asked.
      if (data?.round !== this.state.round) this.refuse("the time is over");
      if (!Number.isInteger(data?.option) || data.option < 0 || data.option >= this.#question().options.length) this.refuse("there is no such option");
      if (own.option !== null) this.refuse("you have answered");
      this.#answer(own, data.option);
    },
  };

  timers: Timers<Quiz> = {
    bot: () => {
      const { right, options } = this.#question();
      this.#answer(this.state.entrants[0], this.random.float() < BOT_KNOWS ? right : this.random.int(options.length));
    },
    show: () => this.#show(),
    next: () => (this.state.round < ROUNDS ? this.#ask() : this.#finish()),
  };

  // The right option and what others have chosen are hidden until the answer is shown.
  view({ phase, round, endsAt, entrants }: State, { session: own }: Player): View {
    const isShown = phase === "shown", { text, options, right } = phase === "asking" || isShown ? this.#question() : { text: "", options: [], right: null };
    return {
      phase, round, endsAt,
      question: text === "" ? null : { text, options },
      right: isShown ? right : null,
      chosen: entrants.find(({ session }) => session === own)?.option ?? null,
      players: entrants.map(({ session, name, connected, points, option, gained }) => ({
        name, bot: session === BOT, you: session === own, connected, points, answered: option !== null, gained: isShown ? gained : null,
      })),
    };
  }

  #ask() {
    for (const one of this.state.entrants) Object.assign(one, { option: null, gained: null });
    this.state.round += 1;
    this.#phase("asking", ASK_MS, "show");
    this.schedule.after(BOT_MS.least + this.random.int(BOT_MS.most - BOT_MS.least), "bot");
  }

  #answer(one: Entrant, option: number) {
    const left = Math.max(0, (this.state.endsAt ?? 0) - this.now()) / ASK_MS;
    one.option = option;
    one.gained = option === this.#question().right ? POINTS + Math.round(POINTS * left) : 0;
    this.#showWhenAnswered();
  }

  /** Nobody waits for those who have lost their connection. */
  #showWhenAnswered() {
    const { phase, entrants } = this.state;
    if (phase === "asking" && entrants.every(({ connected, option }) => !connected || option !== null)) this.#show();
  }

  #show() {
    for (const one of this.state.entrants) one.points += one.gained ?? 0;
    this.schedule.cancel("bot");
    this.schedule.cancel("show");
    this.#phase("shown", SHOW_MS, "next");
  }

  #finish() {
    Object.assign(this.state, { phase: "over", endsAt: null });
  }

  #phase(phase: "asking" | "shown", ms: number, next: "show" | "next") {
    Object.assign(this.state, { phase, endsAt: this.now() + ms });
    this.schedule.after(ms, next);
  }

  /** Nobody is here: no timer goes on. */
  #stop() {
    for (const name of ["bot", "show", "next"] as const) this.schedule.cancel(name);
    this.onCreate();
  }

  #question() {
    return QUESTIONS[this.state.order[this.state.round - 1]];
  }

  #entrant({ session }: Player): Entrant {
    return this.state.entrants.find((one) => one.session === session)!;
  }
}

function entrant(session: string, name: string): Entrant {
  return { session, name, connected: true, points: 0, option: null, gained: null };
}
