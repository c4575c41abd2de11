// Random calls of a room, with what the host knows of it. A subclass carries them out: `open()` makes the room, fresh or from `saved`,
// and `deliver(header, event, fields)` returns the effects of an event, or undefined if it has none and the room has to be opened anew.

import { Dice } from "./dice.mjs";

export const ROOM = "f".repeat(32);

export class Play {
  #dice; #offset = 0;
  id = ROOM;
  clock = { now: 1_700_000_000_000 };
  members = new Map();
  timers = new Map();
  rooms = [];
  locked = false;
  /** What the room has saved last, and its manifest. */
  saved;
  manifest;

  constructor(dice) { this.#dice = dice; }

  /** The text about the room with which it is opened. */
  info() {
    const members = [...this.members.values()].map((member) => ({ ...member }));
    const info = { id: this.id, kind: "test", now: this.clock.now, chance: this.#chance(), hashSeed: this.id, members, timers: [...this.timers.keys()], locked: this.locked };
    return JSON.stringify({ ...info, ...(this.saved === undefined ? {} : { restored: "recovered" }), rooms: { left: 100, taken: [] } });
  }

  #chance() {
    const dice = new Dice(this.#offset);
    return Array.from({ length: 8 }, () => dice.bits().toString(16).padStart(8, "0")).join("");
  }

  handle(event, ...fields) {
    this.#offset += 1;
    this.clock.now += this.#dice.int(1000);
    const effects = this.deliver({ now: this.clock.now, chance: this.#chance() }, event, fields);
    if (effects === undefined) {
      this.open();
      return false;
    }
    for (const effect of effects) this.#apply(...effect);
    return effects;
  }

  #apply(name, ...parts) {
    if (name === "set-timer") this.timers.set(parts[0], parts[2]);
    if (name === "cancel-timer") this.timers.delete(parts[0]);
    if (name === "lock" || name === "unlock") this.locked = name === "lock";
    if (name === "sit" || name === "stand") this.members.get(parts[0]).spectator = name === "stand";
    if (name === "create-room") this.rooms.push(`${this.#chance().slice(32, 56)}${"0".repeat(8)}`);
  }

  join() {
    const session = this.#dice.bits().toString(16).padStart(32, "0");
    const member = { session, player: `${this.#dice.int(5)}`, name: this.#dice.text(8), connected: true, spectator: this.#dice.int(4) === 0 };
    const effects = this.handle("join", session, member, this.#dice.pick(["", "{\"role\":\"admin\"}"]), this.#dice.pick(["{}", "{\"seat\":1}", "null"]));
    const [, as] = (effects || []).find(([name]) => name === "admit") ?? [];
    if (as !== undefined) this.members.set(session, { ...member, spectator: as });
  }

  identify(session) {
    const member = this.members.get(session), [player, name] = [`${this.#dice.int(5)}`, this.#dice.text(8)];
    const effects = this.handle("identify", session, member.player, player, name, this.#dice.pick(["", "{\"role\":\"admin\"}"]));
    if ((effects || []).some(([name]) => name === "identify")) Object.assign(member, { player, name });
    return effects;
  }

  step() {
    const dice = this.#dice, someone = this.members.size > 0 ? dice.pick([...this.members.keys()]) : undefined;
    const kind = dice.int(100);
    if (someone === undefined || kind < 4) return this.join();
    if (kind < 6) { this.members.get(someone).connected = false; return this.handle("drop", someone); }
    if (kind < 8) { this.members.get(someone).connected = true; return this.handle("reconnect", someone); }
    if (kind < 9 && this.members.size > 2) { const left = this.handle("leave", someone, dice.pick(["left", "timed-out", "moved"])); if (left !== false) this.members.delete(someone); return left; }
    if (kind < 12 && this.timers.size > 0) { const [name, data] = dice.pick([...this.timers]); this.timers.delete(name); return this.handle("timer", name, data); }
    if (kind < 13) return this.handle("room-message", ROOM, dice.json(2));
    if (kind < 14) return this.handle("room-end", dice.pick([ROOM, ...this.rooms]), dice.pick(["", "failed"]), dice.json(2));
    if (kind < 15) return this.handle("move-failed", someone, ROOM, "full");
    if (kind < 16) return this.identify(someone);
    if (kind < 18) return this.open();
    const type = dice.pick(this.manifest.messages);
    return this.handle("message", someone, type, this.#data());
  }

  #data() { return this.#dice.pick([() => "null", () => JSON.stringify({ cell: this.#dice.int(9) }), () => JSON.stringify(this.#dice.text(10)), () => `${this.#dice.int(30)}`, () => this.#dice.json(3), () => JSON.stringify({ kind: "echo", key: this.#dice.text(3), count: this.#dice.int(20), size: this.#dice.int(500), key2: 1, calls: this.#dice.int(40), value: this.#dice.value(2), text: this.#dice.text(20), rounds: 3, everyMs: 100 })])(); }
}

/** The guests that are played, and the options with which their rooms are created. */
export const GUESTS_AND_OPTIONS = {
  "tic-tac-toe": ['{"seats":["1","2"]}', '{"seats":["0","4"],"turnMs":1000}'],
  lobby: ["{}"],
  "fixtures/chat.js": ["{}"],
  "fixtures/chance-and-time.js": ['{"rounds":5}'],
  "fixtures/random-effects.js": ["{}"],
  "fixtures/random-documents.js": ["{}"],
  "fixtures/keeper.js": ["{}"],
  "fixtures/throw-everywhere.js": ["{}"],
  "fixtures/wide-view.js": ["{}"],
  "fixtures/console.js": ["{}"],
};

/** What the lobby offers: the kind that random data names most. */
export const KINDS = { echo: { maxPlayers: 3, seats: 0, match: ["key"], create: true } };
