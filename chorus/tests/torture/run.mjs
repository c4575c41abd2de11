/** One torture run: the players, what they have reached together, and how long they had to wait after a fault. */

import { setTimeout as sleep } from "node:timers/promises";

import { Player, Watcher } from "./player.mjs";

/** After the last fault, the games at hand come to their end within this. */
const FINISH_MS = 120_000;
const ALL = "all players";

export class Run {
  done = false;
  aborted = false;
  failures = [];
  moves = 0;
  /** Waits that are over: `{ kind, ms }`. */
  recoveries = [];
  #ends = new Map();
  /** Players that were touched by a fault and not answered since, by name; or all of them as one. */
  #waiting = new Map();

  /** `urls`: where players connect, in turn. `asOne`: a wait is over for all when it is over for one. */
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

  /** Whether both players know now that the round has ended. */
  seesEnd(name, round) {
    const names = this.#ends.get(round) ?? this.#ends.set(round, new Set()).get(round);
    return names.add(name).size >= 2;
  }

  /** These players feel a fault of this kind, from now on. Faults in a row add up to one wait. */
  touch(players, kind) {
    const since = performance.now();
    const names = this.asOne ? [ALL] : players.map(({ name }) => name);
    for (const name of names) if (!this.#waiting.has(name)) this.#waiting.set(name, { since, kind });
  }

  /** An answer to what was sent at `sentAt`. One that may have been on its way already shows nothing. */
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

  /** Plays until `faults` has come to its end and there are enough games; then the games at hand end. It looks at `aborted`. */
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

  /** For the checker, and for whoever looks into a violation. */
  history() {
    return { players: this.players.map((player) => player.history()) };
  }
}

const where = ({ name, client }) =>
  `${name} is ${client.state} in ${client.room?.kind} ${client.room?.id} with ${JSON.stringify(client.room?.view)}`;
