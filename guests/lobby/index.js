// The room that every session joins first. It brings players into rooms: into one of a kind that has a free seat, into a new one,
// into one that they name by code, or into one that begins once enough of them wait. It is configured by the kinds
// (`static lobby` of their classes) and serves a project unchanged.
//
// Ten thousand may sit here at once, beside ten thousand rooms, and a call that reads the state prints it. So the state has who
// waits, the rooms with free seats, the newest games and results, and a line for each room (codes.js), never the members that
// only sit here: what concerns one member is in its data. A call for such a member does not read the state. No view changes:
// changes are broadcast as events.

import { Room } from "chorus";
import { kinds } from "chorus/kinds";
import { forget, giveName, isId, keep, keptById, keptByText, noCodes, rewrite, wrongWithName } from "./codes.js";
import { close, firstOpen, keyOfOpen, noRooms, offer, openRoom, take } from "./open.js";
import { NOT_THE_ROOMS, NOTE, ROOMS_MADE, ROOMS_MADE_MS, ROOMS_TRIED, keptSeek, nextSeek, withoutNote } from "./seek.js";

/** The newest results and games: others are played and decided too, but are not listed here. */
const RESULTS_KEPT = 50;
const GAMES_LISTED = 50;
/** Rooms in one answer to `find`. */
const ROOMS_LISTED = 50;
/** Players who wait for a room to begin. */
const WAITING_KEPT = 5_000;
/** Why rooms could not be created, until their players' moves have failed. */
const FAILURES_KEPT = 50;
/** What a player may try in a minute. */
const WRONG_CODES = 10;
const WRONG_CODES_MS = 60_000;
/** A value that players have in common is compared as text. */
const MATCH_CHARS = 64;
/** After a swap, this many rooms begin and this many players are refused in one call, whose effects are limited. A timer goes on. */
const BEGUN_AT_ONCE = 8;
const REFUSED_AT_ONCE = 200;
/** In a larger lobby, the length of the queue is broadcast at most this often. */
const ANNOUNCE_MS = 500;
const ANNOUNCED_AT_ONCE = 100;

/** The host's reasons for a failed move, and their codes. Any other is the room's own. @type {Record<string, string>} */
const REFUSALS = {
  "the room is full": "full",
  "the room is locked": "locked",
  "the room has ended": "ended",
  "there is no such room": "not_found",
};

/**
 * @typedef {import("chorus").Player<Own>} Player
 * @typedef {import("./seek.js").Seek} Seek
 * @typedef {{
 *   moving?: string, counts?: boolean, seek?: Seek, waits?: string, wrong?: number, wrongSince?: number, made?: number, madeSince?: number,
 * }} Own a member's data: the room that it is on its way to, whether it counts there, and what it goes on with; the key that it waits
 *   under; the codes that were wrong; the rooms that were created because others have not taken it
 * @typedef {{ kind: string, players: string[], since: number }} Game the players' names
 * @typedef {[room: string, winner: unknown, at: number, ...players: string[]]} Result without keys, for there are many
 * @typedef {{
 *   codes: import("./codes.js").Codes, open: import("./open.js").OpenRooms, queue: Record<string, string[]>, waiting: number,
 *   games: Record<string, Game>, results: Result[], failures: [room: string, reason: string][],
 *   announced: number, announcing: boolean,
 * }} State `queue`: the sessions that wait, by key
 * @extends {Room<State, Own>}
 */
export default class Lobby extends Room {
  static config = { keepWhenEmpty: true, budget: { stateKiB: 4_096 } };
  static stateVersion = 2;

  /** @param {any} old @param {number} from */
  static migrate(old, from) {
    if (from !== 1) throw new Error(`no way from version ${from}`);
    const { games, results } = old;
    return { ...emptyState(), games, results };
  }

  onCreate() {
    this.state = emptyState();
  }

  /** The kinds may be others than those that players wait for. @param {import("chorus").RestoreReason} why */
  onRestore(why) {
    if (why === "swapped" && this.state.waiting > 0) this.#reviewQueue();
  }

  /** @param {Player} player */
  onJoin(player) {
    player.send("welcome", { name: player.name });
  }

  /** @param {Player} player */
  onDrop(player) {
    this.#dequeue(player);
  }

  /** @param {Player} player @param {string} reason */
  onLeave(player, reason) {
    this.#dequeue(player);
    const { moving, counts } = player.data;
    // Had it come to the room, the room would report its leave.
    if (reason !== "moved" && moving !== undefined && counts) this.#freed(moving, 1);
  }

  /**
   * The player is still here: the room is full, has refused it, has ended, or was never created. One that means to play in any room
   * goes on to another. Else the player is notified, and not queued again: the same move would fail again.
   * @param {Player} player @param {string} room @param {string} reason
   */
  onMoveFailed(player, room, reason) {
    const { counts, seek } = player.data;
    delete player.data.moving;
    delete player.data.counts;
    delete player.data.seek;
    const [, failure] = this.state.failures.find(([failed]) => failed === room) ?? [];
    const code = failure === undefined ? REFUSALS[reason] ?? "refused" : "failed";
    if (code === "full" || code === "locked") this.#close(room);
    else if (code === "ended" || code === "not_found") this.#forget(room);
    else if (counts) this.#freed(room, 1);
    const isTheRooms = !NOT_THE_ROOMS.has(reason);
    if (code === "refused" && isTheRooms) this.#doubt(room, true);
    const next = isTheRooms ? nextSeek(seek, room, code) : undefined;
    if (next === undefined || !this.#goOn(player, next)) player.send("failed", { room, code, reason: failure ?? reason });
  }

  /** What a room of this lobby reports of itself, or the result of a game. @param {string} room @param {any} data */
  onRoomMessage(room, data) {
    const report = data?.lobby, { winner, players } = data?.result ?? {};
    if (typeof report === "object" && report !== null) return this.#onReport(room, report);
    if (winner === undefined || !Array.isArray(players)) return;
    // It may go on with a rematch.
    const names = players.map(({ name }) => `${name}`);
    this.state.results.push([room, winner, this.now(), ...names]);
    if (this.state.results.length > RESULTS_KEPT) this.state.results.shift();
    this.broadcast("result", { room, winner, players: names });
  }

  /** @param {string} room @param {any} outcome @param {string} [failed] */
  onRoomEnd(room, outcome, failed) {
    this.#forget(room);
    if (failed === undefined) return;
    this.state.failures.push([room, failed]);
    if (this.state.failures.length > FAILURES_KEPT) this.state.failures.shift();
  }

  /** @type {import("chorus").Messages} */
  messages = {
    /**
     * Into a room of this kind that has a free seat, or a new one; or into one that begins once enough players wait. With `name`,
     * into the room of that name, or a new one that nobody finds otherwise.
     */
    joinOrCreate: (player, data) => {
      const rules = this.#rulesOf(data), options = optionsOf(data);
      this.#mustBeFree(player);
      const key = this.#keyOf(data.kind, rules, options), name = this.#nameIn(data);
      if (name !== undefined) {
        const kept = keptByText(this.state.codes, name);
        if (kept && kindOf(kept.key) !== data.kind) return failed("taken", `the room ${name} is a ${kindOf(kept.key)}`);
        return kept ? this.#joinKept(player, kept, options) : this.#create(player, data.kind, rules, { options, name, hidden: true });
      }
      if (rules.seats > 0) return this.#wait(player, data.kind, rules, key);
      this.#dequeue(player);
      return this.#play(player, rules, { key, options, tried: [] });
    },

    /** Into a new room: one that others may join too, or a private one, which is joined by id, code or name alone. */
    create: (player, data) => {
      const rules = this.#rulesOf(data), name = this.#nameIn(data);
      this.#mustBeFree(player);
      if (name !== undefined && keptByText(this.state.codes, name)) return failed("taken", `there is a room ${name} already`);
      return this.#create(player, data.kind, rules, { options: optionsOf(data), name, hidden: data.private === true });
    },

    /** Into the room of this id, code or name. */
    join: (player, data) => {
      const { room } = data ?? {};
      if (typeof room !== "string" || room.length > 64) this.refuse("`room` is a room's id, code or name");
      this.#mustBeFree(player);
      if (this.#hasGuessed(player)) return failed("rate_limited", "too many wrong codes; try again in a minute");
      const kept = isId(room) ? keptById(this.state.codes, room) : keptByText(this.state.codes, room);
      return kept === undefined ? this.#notFound(player, room) : this.#joinKept(player, kept, optionsOf(data));
    },

    /** The public rooms of this kind that have a free seat, oldest first. `where`: values that they must have. */
    find: (player, data) => {
      const rules = this.#rulesOf(data), where = data.where ?? {};
      if (typeof where !== "object" || where === null || Array.isArray(where)) this.refuse("`where` is an object of the values that a room must have");
      const unknown = Object.keys(where).find((name) => !rules.match.includes(name));
      if (unknown !== undefined) this.refuse(`${data.kind} has no ${JSON.stringify(unknown)} to compare; it has: ${rules.match.join(", ") || "nothing"}`);
      return this.#found(data.kind, rules, where);
    },

    cancel: (player) => {
      this.#mustBeFree(player);
      this.#dequeue(player);
      return {};
    },

    /** Into a game as a spectator. */
    watch: (player, data) => {
      const room = data?.room;
      if (typeof room !== "string" || !Object.hasOwn(this.state.games, room)) this.refuse("there is no such game");
      this.#mustBeFree(player);
      this.#dequeue(player);
      this.#move(player, room, keptById(this.state.codes, room)?.code ?? null, { watch: true });
      return {};
    },

    games: () => this.#games(),

    /** All that a page shows, for one that has just come or has missed something. */
    look: ({ data, session }) => {
      const { waiting, queue, results } = this.state;
      return {
        waiting,
        position: data.waits === undefined ? null : queue[data.waits].indexOf(session) + 1,
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
    reviewQueue: () => this.#reviewQueue(),
  };

  /** The same for everybody, for ever: a lobby's state holds others' sessions. */
  view() {
    return { kinds: Object.keys(kinds) };
  }

  // ---- what is requested ----

  /** @param {any} data @returns {import("chorus/kinds").Offer} */
  #rulesOf(data) {
    const kind = data?.kind;
    const known = typeof kind === "string" && Object.hasOwn(kinds, kind);
    if (!known) this.refuse(`there is no game ${JSON.stringify(kind)}; there are: ${Object.keys(kinds).join(", ")}`);
    return kinds[kind];
  }

  /** @param {Player} player */
  #mustBeFree(player) {
    if (player.data.moving !== undefined) this.refuse("you are on your way to a room");
  }

  /** Players with the same key may meet. @param {string} kind @param {import("chorus/kinds").Offer} rules @param {Record<string, any>} values */
  #keyOf(kind, { match }, values) {
    return keyOf(kind, match.map((name) => {
      const value = Object.hasOwn(values, name) ? values[name] : null;
      if (!isComparable(value)) this.refuse(`${name} must be a text of at most ${MATCH_CHARS} characters, a number, true, false or null`);
      return value;
    }));
  }

  /** @param {any} data @returns {string | undefined} */
  #nameIn({ name }) {
    const wrong = name === undefined ? undefined : wrongWithName(name);
    if (wrong !== undefined) this.refuse(wrong);
    return name;
  }

  // ---- into a room ----

  /** Into an open room that has not been tried, or a new one. @param {Player} player @param {import("chorus/kinds").Offer} rules @param {Seek} seek */
  #play(player, rules, seek) {
    const { key, options, tried } = seek;
    const open = tried.length < ROOMS_TRIED ? firstOpen(this.state.open, key, tried) : undefined;
    if (open) {
      player.data.seek = keptSeek(seek);
      return this.#join(player, open, key, rules, options, "play");
    }
    const room = this.rooms.create(kindOf(key), options);
    const code = keep(this.state.codes, room, { key });
    return this.#joinNew(player, { room, code, key, rules, options }, "play");
  }

  /** Whether the player goes on: to the next room, or to a new one unless too many were created for it. @param {Player} player @param {Seek} seek */
  #goOn(player, seek) {
    const rules = rulesOfKey(seek.key);
    if (!rules || rules.seats > 0) return false;
    const isNew = seek.tried.length >= ROOMS_TRIED || firstOpen(this.state.open, seek.key, seek.tried) === undefined;
    if (isNew && !this.#mayHaveNew(player)) return false;
    this.#play(player, rules, seek);
    return true;
  }

  /** Counts a room that is created because others have not taken the player. @param {Player} player */
  #mayHaveNew({ data }) {
    const { made = 0, madeSince = 0 } = data, anew = this.now() - madeSince >= ROOMS_MADE_MS;
    if (!anew && made >= ROOMS_MADE) return false;
    Object.assign(data, anew ? { made: 1, madeSince: this.now() } : { made: made + 1 });
    return true;
  }

  /** @param {Player} player @param {string} kind @param {import("chorus/kinds").Offer} rules @param {{ options: Record<string, any>, name?: string, hidden: boolean }} what */
  #create(player, kind, rules, { options: given, name, hidden }) {
    if (!rules.create) this.refuse(`a room of kind ${kind} is not created on request; joinOrCreate finds one`);
    // Who sits, a client does not decide.
    const { seats, names, ...others } = given, options = rules.seats > 0 ? others : given;
    const key = this.#keyOf(kind, rules, options), { codes } = this.state;
    const room = this.rooms.create(kind, options);
    const code = keep(codes, room, { key, hidden });
    // The refusal undoes the call, so the room is not created.
    if (code === null || (name !== undefined && !giveName(codes, name, code))) this.refuse("no code is left: there are too many rooms");
    this.#dequeue(player);
    if (!hidden && rules.seats === 0) return this.#joinNew(player, { room, code, key, rules, options }, "join");
    return this.#move(player, room, code, options);
  }

  /** @param {Player} player @param {import("./codes.js").Kept} kept @param {object} options */
  #joinKept(player, { room, code, key }, options) {
    const open = openRoom(this.state.open, key, room), rules = rulesOfKey(key);
    this.#dequeue(player);
    return open && rules ? this.#join(player, open, key, rules, options, "join") : this.#move(player, room, code, options);
  }

  /** @param {Player} player @param {{ room: string, code: string | null, key: string, rules: import("chorus/kinds").Offer, options: object }} created @param {"play" | "join"} how */
  #joinNew(player, { room, code, key, rules, options }, how) {
    const open = { room, code, taken: 0, since: this.now() };
    offer(this.state.open, key, open);
    return this.#join(player, open, key, rules, options, how);
  }

  /** Takes a seat of an open room. @param {Player} player @param {import("./open.js").Open} open @param {string} key @param {import("chorus/kinds").Offer} rules @param {object} options @param {"play" | "join"} how */
  #join(player, open, key, rules, options, how) {
    take(this.state.open, key, open, rules.maxPlayers);
    player.data.counts = true;
    return this.#move(player, open.room, open.code, { ...options, [NOTE]: how });
  }

  /** @param {Player} player @param {string} room @param {string | null} code @param {object} options */
  #move(player, room, code, options) {
    player.data.moving = room;
    player.send("placed", { room, code });
    player.moveTo(room, options);
    return { room, code };
  }

  /** Counts a wrong code. It is no refusal, which would undo the count. @param {Player} player @param {string} room */
  #notFound(player, room) {
    const { wrong = 0, wrongSince = 0 } = player.data;
    const anew = this.now() - wrongSince >= WRONG_CODES_MS;
    Object.assign(player.data, anew ? { wrong: 1, wrongSince: this.now() } : { wrong: wrong + 1 });
    return failed("not_found", `there is no room ${room}`);
  }

  /** @param {Player} player */
  #hasGuessed({ data: { wrong = 0, wrongSince = 0 } }) {
    return wrong >= WRONG_CODES && this.now() - wrongSince < WRONG_CODES_MS;
  }

  // ---- what becomes of rooms ----

  /** @param {string} room @param {any} report */
  #onReport(room, { freed, locked, players, metadata }) {
    if (Number.isInteger(freed)) this.#freed(room, freed);
    else if (locked === true) return this.#close(room);
    else if (locked === false) this.#unlocked(room, players);
    else if (typeof metadata === "object" && metadata !== null) return this.#matches(room, metadata);
    this.#doubt(room, false);
  }

  /** Seats of a room are free again; below 0, are taken. Of one that counts as full no more can be taken. @param {string} room @param {number} seats */
  #freed(room, seats) {
    const { key, open, rules } = this.#openRoom(room);
    if (!open) {
      if (seats > 0) this.#offer(room, (maxPlayers) => maxPlayers - seats);
    } else if (seats < 0) {
      take(this.state.open, key, open, rules?.maxPlayers ?? 0, -seats);
    } else {
      open.taken = Math.max(0, open.taken - seats);
    }
  }

  /** A room of an SDK that does not report its players takes all, until it refuses one. @param {string} room @param {unknown} players */
  #unlocked(room, players) {
    this.#close(room);
    this.#offer(room, () => (Number.isInteger(players) ? Number(players) : 0));
  }

  /** Offers a public room that was not offered, if it has a free seat. @param {string} room @param {(maxPlayers: number) => number} takenOf */
  #offer(room, takenOf) {
    const kept = keptById(this.state.codes, room), rules = kept && rulesOfKey(kept.key);
    if (!kept || !rules || kept.hidden || rules.seats > 0) return;
    const taken = Math.max(0, takenOf(rules.maxPlayers));
    if (rules.maxPlayers === 0 || taken < rules.maxPlayers) offer(this.state.open, kept.key, { room, code: kept.code, taken, since: this.now() });
  }

  /** Whether others are tried before this room. @param {string} room @param {boolean} doubtful */
  #doubt(room, doubtful) {
    const { open } = this.#openRoom(room);
    if (open && doubtful) open.doubtful = true;
    else if (open) delete open.doubtful;
  }

  /** @param {string} room */
  #openRoom(room) {
    const key = keptById(this.state.codes, room)?.key ?? keyOfOpen(this.state.open, room) ?? "";
    return { key, open: openRoom(this.state.open, key, room), rules: key === "" ? undefined : rulesOfKey(key) };
  }

  /** @param {string} room @param {Record<string, any>} metadata */
  #matches(room, metadata) {
    const kept = keptById(this.state.codes, room), rules = kept && rulesOfKey(kept.key);
    if (!kept || !rules) return;
    const kind = kindOf(kept.key), before = valuesOf(kept.key);
    const values = rules.match.map((name, at) => (isComparable(metadata[name]) ? metadata[name] : before[at] ?? null));
    const key = keyOf(kind, values), open = openRoom(this.state.open, kept.key, room);
    if (open) {
      close(this.state.open, kept.key, room);
      offer(this.state.open, key, open);
    }
    rewrite(this.state.codes, kept, key);
  }

  /** @param {string} room */
  #close(room) {
    const key = keptById(this.state.codes, room)?.key ?? keyOfOpen(this.state.open, room);
    if (key !== undefined) close(this.state.open, key, room);
  }

  /** @param {string} room */
  #forget(room) {
    this.#close(room);
    forget(this.state.codes, room);
    delete this.state.games[room];
  }

  // ---- lists ----

  /** @param {string} kind @param {import("chorus/kinds").Offer} rules @param {Record<string, any>} where */
  #found(kind, { match, maxPlayers }, where) {
    const found = [];
    for (const [key, rooms] of Object.entries(this.state.open.byKey)) {
      if (kindOf(key) !== kind) continue;
      const values = valuesOf(key), metadata = Object.fromEntries(match.map((name, at) => [name, values[at] ?? null]));
      if (!Object.entries(where).every(([name, value]) => metadata[name] === value)) continue;
      for (const { room, code, taken, since } of rooms) found.push({ room, code, players: taken, maxPlayers, metadata, since });
    }
    return found.sort((one, other) => one.since - other.since).slice(0, ROOMS_LISTED);
  }

  #games() {
    return Object.entries(this.state.games).map(([room, { kind, players, since }]) => ({ room, kind, players, since }));
  }

  /** @param {string} room @param {Game} game */
  #list(room, game) {
    const { games } = this.state;
    games[room] = game;
    const [oldest, ...others] = Object.keys(games);
    if (others.length >= GAMES_LISTED) delete games[oldest];
  }

  // ---- the queue ----

  /** The player's place among those who wait under this key. Requesting twice changes nothing. @param {Player} player @param {string} kind @param {import("chorus/kinds").Offer} rules @param {string} key */
  #wait(player, kind, rules, key) {
    const { session, data } = player;
    if (data.waits !== key) {
      this.#dequeue(player);
      if (this.state.waiting >= WAITING_KEPT) return failed("full", "too many players are waiting; try again later");
      (this.state.queue[key] ??= []).push(session);
      this.state.waiting += 1;
      data.waits = key;
    }
    const position = this.state.queue[key].indexOf(session) + 1;
    this.#gather(kind, rules, key);
    this.#announce();
    return { position };
  }

  /** @param {Player} player */
  #dequeue(player) {
    if (this.#unqueue(player)) this.#announce();
  }

  /** Whether the player has waited. Of one that has not, the state is not read. @param {Player} player */
  #unqueue({ session, data }) {
    const key = data.waits;
    if (key === undefined) return false;
    delete data.waits;
    this.#remove(key, [session]);
    return true;
  }

  /**
   * The first who wait begin, as soon as there are enough different players. Returns whether they do.
   * @param {string} kind @param {import("chorus/kinds").Offer} rules @param {string} key
   */
  #gather(kind, { seats, match }, key) {
    /** @type {Player[]} */
    const party = [];
    for (const session of this.state.queue[key] ?? []) {
      const player = this.players.get(session);
      if (player && party.every(({ id }) => id !== player.id)) party.push(player);
      if (party.length === seats) break;
    }
    if (party.length < seats) return false;
    const names = party.map(({ name }) => name), values = valuesOf(key);
    const common = Object.fromEntries(match.map((name, at) => [name, values[at]]));
    const room = this.rooms.create(kind, { ...common, seats: party.map(({ id }) => id), names });
    const code = keep(this.state.codes, room, { key });
    this.#list(room, { kind, players: names, since: this.now() });
    this.#remove(key, party.map(({ session }) => session));
    for (const player of party) this.#move(player, room, code, {});
    return true;
  }

  /**
   * After a swap: where fewer seats are required, rooms begin; and players whose request can no longer be met as they made it (the
   * kind is gone, or has no `seats` any more, or compares other values) are refused. The others wait on.
   */
  #reviewQueue() {
    let rooms = BEGUN_AT_ONCE, refusals = REFUSED_AT_ONCE;
    for (const key of Object.keys(this.state.queue)) {
      const rules = rulesOfKey(key), kind = kindOf(key);
      if (rules && rules.seats > 0 && rules.match.length === valuesOf(key).length) {
        while (rooms > 0 && this.#gather(kind, rules, key)) rooms -= 1;
      } else {
        const refused = this.state.queue[key].slice(0, refusals);
        refusals -= refused.length;
        this.#remove(key, refused);
        const reason = rules ? `${kind} has changed: request it again` : `there is no game ${kind} any more`;
        for (const session of refused) this.players.get(session)?.send("failed", { room: null, code: "refused", reason });
      }
      if (rooms === 0 || refusals === 0) {
        this.schedule.after(1, "reviewQueue");
        break;
      }
    }
    this.#announce();
  }

  /** These sessions wait no more. @param {string} key @param {string[]} sessions */
  #remove(key, sessions) {
    const gone = new Set(sessions), left = this.state.queue[key].filter((session) => !gone.has(session));
    if (left.length > 0) this.state.queue[key] = left;
    else delete this.state.queue[key];
    this.state.waiting -= gone.size;
    for (const session of gone) delete this.players.get(session)?.data.waits;
  }

  /** Broadcasts the length of the queue, if it has changed. */
  #announce() {
    if (this.state.announcing || this.state.waiting === this.state.announced) return;
    if (this.players.size <= ANNOUNCED_AT_ONCE) return this.#tellWaiting();
    this.state.announcing = true;
    this.schedule.after(ANNOUNCE_MS, "announce");
  }

  #tellWaiting() {
    if (this.state.waiting === this.state.announced) return;
    this.state.announced = this.state.waiting;
    this.broadcast("waiting", { count: this.state.announced });
  }
}

/** @returns {State} */
function emptyState() {
  return { codes: noCodes(), open: noRooms(), queue: {}, waiting: 0, games: {}, results: [], failures: [], announced: 0, announcing: false };
}

/** @param {string} code @param {string} reason */
function failed(code, reason) {
  return { failed: { code, reason } };
}

/** A client's options for a room. @param {any} data @returns {Record<string, any>} */
function optionsOf(data) {
  const options = data?.options;
  return typeof options === "object" && options !== null && !Array.isArray(options) ? withoutNote(options) : {};
}

/** @param {unknown} value */
function isComparable(value) {
  if (typeof value === "string") return value.length <= MATCH_CHARS;
  return value === null || typeof value === "boolean" || typeof value === "number";
}

/** A key has a space, so no property that objects inherit is one. @param {string} kind @param {unknown[]} values */
function keyOf(kind, values) {
  return `${kind} ${JSON.stringify(values)}`;
}

/** @param {string} key */
function kindOf(key) {
  return key.slice(0, key.indexOf(" "));
}

/** @param {string} key @returns {any[]} */
function valuesOf(key) {
  return JSON.parse(key.slice(key.indexOf(" ")));
}

/** Undefined when the kind is no longer offered. @param {string} key */
function rulesOfKey(key) {
  const kind = kindOf(key);
  return Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
}
