/** One torture run: the players, their common progress, and how long they waited after faults. */

import { setTimeout as sleep } from "node:timers/promises";

import { Player, Watcher } from "./player.mjs";

/** The deadline for the current games after the last fault. */
const FINISH_MS = 120_000;
const ALL = "all players";

export class Run {
  done = false;
  aborted = false;
  failures = [];
  moves = 0;
  /** Finished waits: `{ kind, ms }`. */
  recoveries = [];
  #ends = new Map();
  /** Players that were affected by a fault and have had no answer since, by name; or all of them as one. */
  #waiting = new Map();

  /** `urls`: the addresses that players connect to, in turn. `asOne`: a wait ends for all players when it ends for one. */
  constructor({ urls, seed, players, watchers, asOne = false }) {
    Object.assign(this, { urls, seed, asOne });
    const many = (count, make) => Array.from({ length: count }, (_, n) => make(n + 1));
    this.players = [
      ...many(players, (n) => new Player(`player ${n}`, this)),
      ...many(watchers, (n) => new Watcher(`watcher ${n}`, this)),
    ];
  }

  get games() {
    return this.#ends.size;
  }

  /** Records that a player has seen the end of a round. Returns whether both players have. */
  seesEnd(name, round) {
    const names = this.#ends.get(round) ?? this.#ends.set(round, new Set()).get(round);
    return names.add(name).size >= 2;
  }

  /** Starts the wait of the players that a fault of this kind affects. Consecutive faults extend one wait. */
  affect(players, kind) {
    const since = performance.now();
    const names = this.asOne ? [ALL] : players.map(({ name }) => name);
    for (const name of names) if (!this.#waiting.has(name)) this.#waiting.set(name, { since, kind });
  }

  /** Ends a wait by an answer to a message sent at `sentAt`, unless that answer may have been in flight before the fault. */
  answered({ name }, sentAt) {
    const key = this.asOne ? ALL : name;
    const { since, kind } = this.#waiting.get(key) ?? {};
    if (since === undefined || (sentAt < since && !this.asOne)) return;
    this.#waiting.delete(key);
    this.recoveries.push({ kind, ms: performance.now() - since });
  }

  fail(what) {
    this.failures.push({ rule: "the run failed", who: "torture", what });
    this.aborted = true;
  }

  /** Plays until `faults`, which ends early on `aborted`, has resolved and there are enough games, then finishes open games. */
  async playThrough(faults, { games, minutes }) {
    const deadline = sleep(minutes * 60_000, "late", { ref: false });
    const playing = new Set(this.players);
    const played = Promise.all(this.players.map((player) => player.play().then(() => playing.delete(player))));
    const enough = faults.then(() => this.#until(games)).then(() => (this.done = !this.aborted));
    if ((await Promise.race([enough, deadline])) === "late") this.fail(`not enough in ${minutes} minutes: ${this.games} games`);
    await faults;
    if (this.aborted) return;
    const late = await Promise.race([played, sleep(FINISH_MS, "late", { ref: false })]);
    if (late === "late") this.fail(`still at it ${FINISH_MS} ms after the last fault: ${[...playing].map(where).join(", ")}`);
  }

  async #until(games) {
    while (!this.aborted && this.games < games) await sleep(50);
  }

  close() {
    for (const player of this.players) player.close();
  }

  /** The histories of all players, for the checker and for the analysis of a violation. */
  history() {
    return { players: this.players.map((player) => player.history()) };
  }
}

const where = ({ name, client }) =>
  `${name} is ${client.state} in ${client.room?.kind} ${client.room?.id} with ${JSON.stringify(client.room?.view)}`;
