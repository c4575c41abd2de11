// The room that every session joins first: it greets players, keeps the queue, pairs them, and lists the games in progress.
//
// Ten thousand may sit here at once, and each call reads and writes the whole state. So it holds who waits and the newest
// games and results, never the other members; and no view changes: changes are broadcast as events.

import { Room } from "chorus";

/** What one may play: the room's kind, and how many it takes. */
/** @type {Record<string, { seats: number }>} */
const GAMES = { "tic-tac-toe": { seats: 2 } };
/** The newest results and games: others are played and decided too, but are not listed here. */
const RESULTS_KEPT = 50;
const GAMES_LISTED = 50;
/** In a larger lobby, the length of the queue is broadcast at most this often. */
const ANNOUNCE_MS = 500;
const ANNOUNCED_AT_ONCE = 100;

/**
 * @typedef {import("chorus").Player} Player
 * @typedef {{ session: string, id: string, name: string, kind: string }} Waiting
 * @typedef {{ kind: string, players: string[], since: number }} Game the players' names
 * @typedef {[room: string, winner: unknown, at: number, ...players: string[]]} Result without keys, for there are many
 * @typedef {{
 *   queue: Waiting[], games: Record<string, Game>, results: Result[], announced: number, announcing: boolean,
 * }} State
 * @extends {Room<State, { moving?: string }>} a player's data: the room that it is on its way to
 */
export default class Lobby extends Room {
  static config = { keepWhenEmpty: true };

  onCreate() {
    this.state = { queue: [], games: {}, results: [], announced: 0, announcing: false };
  }

  /** @param {Player} player */
  onJoin(player) {
    player.send("welcome", { name: player.name, waiting: this.state.queue.length });
  }

  /** @param {Player} player */
  onDrop(player) {
    this.#dequeue(player);
    this.#announce();
  }

  /** @param {Player} player */
  onLeave(player) {
    this.#dequeue(player);
    this.#announce();
  }

  /**
   * The player is still here: the room is full, has ended, or was never created. The player is notified, and not queued again:
   * the same move would fail again.
   * @param {Player} player @param {string} room @param {string} reason
   */
  onMoveFailed(player, room, reason) {
    delete player.data.moving;
    player.send("failed", { room, reason });
  }

  /** A game is decided; its room may go on with a rematch. @param {string} room @param {any} data */
  onRoomMessage(room, data) {
    const { winner, players } = data?.result ?? {};
    if (winner === undefined || !Array.isArray(players)) return;
    const names = players.map(({ name }) => `${name}`);
    this.state.results.push([room, winner, this.now(), ...names]);
    if (this.state.results.length > RESULTS_KEPT) this.state.results.shift();
    this.broadcast("result", { room, winner, players: names });
  }

  /** @param {string} room */
  onRoomEnd(room) {
    delete this.state.games[room];
  }

  /** @type {import("chorus").Messages} */
  messages = {
    find: (player, data) => {
      const kind = data?.kind ?? "tic-tac-toe";
      const known = typeof kind === "string" && Object.hasOwn(GAMES, kind);
      if (!known) this.refuse(`there is no game ${JSON.stringify(kind)}; there are: ${Object.keys(GAMES).join(", ")}`);
      this.#mustBeFree(player);
      const position = this.#enqueue(player, kind);
      this.#pair(kind);
      this.#announce();
      return { position };
    },

    cancel: (player) => {
      this.#mustBeFree(player);
      this.#dequeue(player);
      this.#announce();
      return {};
    },

    watch: (player, data) => {
      const room = data?.room;
      if (typeof room !== "string" || !Object.hasOwn(this.state.games, room)) this.refuse("there is no such game");
      this.#mustBeFree(player);
      this.#dequeue(player);
      this.#announce();
      this.#move(player, room, { watch: true });
      return {};
    },

    games: () => this.#games(),

    /** All that a page shows, for one that has just come or has missed something. */
    look: ({ session }) => {
      const { queue, results } = this.state;
      const mine = queue.find((waiting) => waiting.session === session);
      return {
        waiting: queue.length,
        position: mine ? this.#position(mine) : null,
        games: this.#games(),
        results: results.map(([room, winner, at, ...players]) => ({ room, winner, players, at })),
      };
    },
  };

  timers = {
    announce: () => {
      this.state.announcing = false;
      this.#tellWaiting();
    },
  };

  /** The same for everybody, for ever: a lobby's state holds others' sessions. */
  view() {
    return { kinds: Object.keys(GAMES) };
  }

  /** @param {Player} player */
  #mustBeFree(player) {
    if (player.data.moving) this.refuse("you are on your way to a game");
  }

  /** The player's place among those who wait for this kind. Asking twice changes nothing. @param {Player} player @param {string} kind */
  #enqueue(player, kind) {
    const { session, id, name } = player;
    const known = this.state.queue.find((waiting) => waiting.session === session);
    if (known?.kind === kind) return this.#position(known);
    this.#dequeue(player);
    const waiting = { session, id, name, kind };
    this.state.queue.push(waiting);
    return this.#position(waiting);
  }

  /** @param {Waiting} waiting */
  #position(waiting) {
    return this.state.queue.filter(({ kind }) => kind === waiting.kind).indexOf(waiting) + 1;
  }

  /** @param {Player} player */
  #dequeue({ session }) {
    this.state.queue = this.state.queue.filter((waiting) => waiting.session !== session);
  }

  /** The first in the queue plays with the next one who is another player. @param {string} kind */
  #pair(kind) {
    const { seats } = GAMES[kind];
    /** @type {Waiting[]} */
    const party = [];
    for (const waiting of this.state.queue) {
      const another = waiting.kind === kind && party.every(({ id }) => id !== waiting.id);
      if (another && party.length < seats) party.push(waiting);
    }
    if (party.length < seats) return;
    const names = party.map(({ name }) => name);
    const room = this.rooms.create(kind, { seats: party.map(({ id }) => id), names });
    this.#list(room, { kind, players: names, since: this.now() });
    for (const { session } of party) {
      const player = this.players.get(session);
      if (!player) continue;
      this.#dequeue(player);
      this.#move(player, room, {});
    }
  }

  /** @param {string} room @param {Game} game */
  #list(room, game) {
    const { games } = this.state;
    games[room] = game;
    const [oldest, ...others] = Object.keys(games);
    if (others.length >= GAMES_LISTED) delete games[oldest];
  }

  /** @param {Player} player @param {string} room @param {import("chorus").Json} options */
  #move(player, room, options) {
    player.data.moving = room;
    player.moveTo(room, options);
  }

  #games() {
    return Object.entries(this.state.games).map(([room, { kind, players, since }]) => ({ room, kind, players, since }));
  }

  /** Broadcasts the length of the queue, if it has changed. */
  #announce() {
    if (this.state.announcing || this.state.queue.length === this.state.announced) return;
    if (this.players.size <= ANNOUNCED_AT_ONCE) return this.#tellWaiting();
    this.state.announcing = true;
    this.schedule.after(ANNOUNCE_MS, "announce");
  }

  #tellWaiting() {
    if (this.state.queue.length === this.state.announced) return;
    this.state.announced = this.state.queue.length;
    this.broadcast("waiting", { count: this.state.announced });
  }
}
