// Random calls of guests, by the engine and by the SDK in Node: the same texts, and the same saved state.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { Script, createContext } from "node:vm";

import { bundle } from "../../guests/build/bundle.mjs";
import { oneByOne } from "../../guests/build/contract.mjs";
import { snapshot } from "../../guests/build/engine.mjs";
import { guestOf } from "../../guests/build/run.mjs";
import { DATE } from "../../guests/test/clock.mjs";
import { Dice } from "./dice.mjs";

const GUESTS = fileURLToPath(new URL("../../guests/", import.meta.url));
const CALLS = Number(process.env.CHORUS_TEST_CALLS ?? 400);
const ROOM = "f".repeat(32);

/** Both of them, with what the host knows of the room. */
class Both {
  #dice; #memory; #script; #clock = { now: 1_700_000_000_000 };
  #offset = 0; #saved; #version; #inexact;
  members = new Map();
  timers = new Map();
  rooms = [];
  locked = false;
  ended = false;

  constructor({ guest, script }, dice, inexact) {
    this.#inexact = inexact;
    this.#dice = dice;
    this.#memory = snapshot(guest);
    this.#script = new Script(`${script}\nguest;`);
    this.open();
    this.manifest = JSON.parse(JSON.stringify(this.engine.describe()));
    this.#version = this.manifest.stateVersion;
    assert.deepEqual(this.manifest, JSON.parse(JSON.stringify(this.reference.describe())));
  }

  /** New instances of both, from what they saved last. */
  open() {
    const context = createContext({ clock: this.#clock, TextEncoder, TextDecoder });
    new Script(DATE).runInContext(context);
    this.reference = oneByOne(this.#script.runInContext(context));
    this.engine = oneByOne(guestOf(this.#memory));
    const members = [...this.members.values()].map((member) => ({ ...member }));
    const info = { id: ROOM, kind: "test", now: this.#clock.now, chance: this.#chance(), hashSeed: ROOM, members, timers: [...this.timers.keys()], locked: this.locked };
    const restored = this.#saved === undefined ? {} : { restored: "recovered" };
    const text = JSON.stringify({ ...info, ...restored, rooms: { left: 100, taken: [] } });
    const opened = [this.engine, this.reference].map((guest) => guest.open(text, this.#version ?? 0, this.#saved ?? ""));
    assert.deepEqual(opened[0], opened[1], "open");
  }

  #chance() {
    const dice = new Dice(this.#offset);
    return Array.from({ length: 8 }, () => dice.bits().toString(16).padStart(8, "0")).join("");
  }

  handle(event, ...fields) {
    this.#offset += 1;
    this.#clock.now += this.#dice.int(1000);
    const header = { now: this.#clock.now, chance: this.#chance() };
    const [ours, theirs] = [this.engine, this.reference].map((guest) => guest.handle(header, event, ...fields));
    const shown = `${event} ${JSON.stringify(fields).slice(0, 200)}`;
    if (ours.threw !== undefined || theirs.threw !== undefined) {
      const [mine, its] = [ours, theirs].map(({ threw = "nothing was thrown" }) => (this.#inexact ? words(threw).replace(/\d+/g, "N") : words(threw)));
      assert.equal(mine, its, shown);
      assert.deepEqual(ours.log, theirs.log, shown);
      this.open();
      return false;
    }
    if (!isDeepStrictEqual(ours.done, theirs.done)) this.#same(JSON.stringify(ours.done), JSON.stringify(theirs.done), shown);
    this.#saved = this.engine.save().saved;
    this.#same(this.#saved, this.reference.save().saved, shown);
    for (const effect of ours.done) this.#apply(...effect);
    return ours.done;
  }

  /** Fails with the place of the first difference. */
  #same(ours, theirs, shown) {
    if (this.#inexact) [ours, theirs] = [rounded(ours), rounded(theirs)];
    if (ours === theirs) return;
    let at = 0;
    while (ours[at] === theirs[at]) at++;
    assert.fail(`${shown}\n${ours.slice(Math.max(0, at - 80), at + 80)}\n${theirs.slice(Math.max(0, at - 80), at + 80)}`);
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
    return this.handle("message", someone, type, this.data(type));
  }

  data() { return this.#dice.pick([() => "null", () => JSON.stringify({ cell: this.#dice.int(9) }), () => JSON.stringify(this.#dice.text(10)), () => `${this.#dice.int(30)}`, () => this.#dice.json(3), () => JSON.stringify({ kind: "echo", key: this.#dice.text(3), count: this.#dice.int(20), size: this.#dice.int(500), key2: 1, calls: this.#dice.int(40), value: this.#dice.value(2), text: this.#dice.text(20), rounds: 3, everyMs: 100 })])(); }
}

/** Numbers to 12 digits: the two have different libraries of mathematics. */
function rounded(text) { return text.replace(/\d\.\d{10,}(e[+-]\d+)?/g, (number) => Number(number).toPrecision(12)); }

/** An error's first line; the places after it are those of two bundles. An error that an engine itself has thrown has its own words. */
function words(text) {
  const [line] = text.split("\n");
  return /cannot read|is not a function|not iterable|is not defined|JSON|[Uu]nexpected|destructur|properties of|Cannot|circular|rimitive/.test(line) ? line.split(":")[0] : line;
}

const GUESTS_AND_OPTIONS = {
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
const KINDS = { echo: { maxPlayers: 3, seats: 0, match: ["key"], create: true } };

for (const [name, all] of Object.entries(GUESTS_AND_OPTIONS)) {
  test(`${name}: ${CALLS} random calls`, async () => {
    const file = name.endsWith(".js") ? name : `${name}/index.js`;
    const bundled = await bundle(`${GUESTS}${file}`, undefined, KINDS);
    for (const [seed, options] of all.entries()) {
      const both = new Both(bundled, new Dice(seed + Number(process.env.CHORUS_TEST_SEED ?? 1)), name === "fixtures/random-documents.js");
      both.handle("create", options);
      for (let i = 0; i < CALLS; i++) both.step();
    }
  });
}
