// Several rooms in one instance of the engine, each in a slot, and each beside a twin in an instance of its own. All that a room
// answers is compared with its twin's answer, byte by byte.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

import { bundle } from "../../guests/build/bundle.mjs";
import { LEVELS, LIMIT, entry, event, outcomesOf } from "../../guests/build/contract.mjs";
import { snapshot } from "../../guests/build/engine.mjs";
import { guestOf } from "../../guests/build/run.mjs";
import { Play } from "./play.mjs";
import { ANA, BEA, built, fileOf } from "./room.mjs";

const NOW = 1_700_000_000_000;

const joined = (entries) => new Uint8Array(Buffer.concat(entries));

/** An instance of a guest with a `share`. */
export class Cell {
  #closing = [];

  constructor(memory) {
    this.memory = memory;
    this.guest = guestOf(memory);
  }

  /** The answer to these entries of the room in a slot. */
  call(slot, ...entries) {
    const closing = this.#closing.splice(0).map((closed) => entry("close", closed));
    return Buffer.from(this.guest.call(joined([...closing, entry("select", slot), ...entries])));
  }

  /** The next call closes this slot first. */
  close(slot) { this.#closing.push(slot); }

  /** Closes what is to be closed in a call of its own. */
  flush() { this.guest.call(joined(this.#closing.splice(0).map((slot) => entry("close", slot)))); }

  collect() { this.guest.exports.collect(); }
  /** The bytes that its rooms have allocated, and those of its memory. */
  get allocated() { return this.guest.exports.allocated(); }
  get bytes() { return this.guest.exports.memory.buffer.byteLength; }
}

/** A cell of rooms with these statements at the top level and this class body. */
export async function cellOf(body, top, share = 4) { return new Cell((await built(`static config = { share: ${share} };\n${body}`, top)).memory); }

const GUESTS = new URL("../../guests/", import.meta.url);

/** The memory of a guest of this repository, `tic-tac-toe/index.js` for instance, with a `share`. */
export async function sharedGuest(path, share, kinds) {
  const base = JSON.stringify(fileURLToPath(new URL(path, GUESTS)));
  const file = fileOf(`import Base from ${base};\nexport default class Shared extends Base {\n  static config = { ...Base.config, share: ${share} };\n}\n`);
  return snapshot((await bundle(file, undefined, kinds)).guest);
}

/** A room in a slot. Ana and Bea are in it. `saved`: what it begins with. `alone`: without a twin.
 * `together`: opened, created and joined in one call. */
export class SlotRoom {
  #offset = 0; #cell; #own;
  limit = LIMIT;

  constructor(cell, slot, { saved, alone = false, check = false, together = false } = {}) {
    this.slot = slot;
    this.number = rooms++;
    this.#cell = cell;
    if (!alone) this.#own = guestOf(cell.memory);
    const members = saved === undefined ? [] : [ANA, BEA].map((session) => ({ session, player: session, name: session.at(-1), connected: true, spectator: false }));
    const seed = this.number.toString(16).padStart(32, "a");
    const info = { id: seed, kind: "test", now: NOW, chance: this.#chance(), hashSeed: seed, check, members, timers: [], locked: false, rooms: { left: 100 - slot, taken: [] } };
    const open = entry("open", LIMIT, 1, saved ?? "", JSON.stringify(saved === undefined ? info : { ...info, restored: "recovered" }));
    const begin = saved === undefined ? [["create", "{}"], ...[ANA, BEA].map((session) => ["join", session, { player: session, name: session.at(-1), spectator: false }, "", "{}"])] : [];
    const entries = [open, ...begin.map((fields) => this.event(...fields))];
    const outcomes = together ? this.call(...entries) : entries.map((one) => this.call(one)[0]);
    assert.ok(outcomes.length === entries.length && outcomes.every(({ done }) => done !== undefined), JSON.stringify(outcomes));
  }

  #chance() { return ((this.number * 40_503 + this.#offset) * 2_654_435_761 >>> 0).toString(16).padStart(8, "0").repeat(8); }

  /** The outcomes of these entries. */
  call(...entries) {
    const answer = this.#cell.call(this.slot, ...entries);
    if (this.#own !== undefined) assert.deepEqual(answer, Buffer.from(this.#own.call(joined(entries))), `room ${this.number}`);
    return outcomesOf(answer);
  }

  /** The bytes of an event. */
  event(name, ...fields) {
    this.#offset += 1;
    return event({ now: NOW + this.#offset, chance: this.#chance(), limit: this.limit }, name, ...fields);
  }

  handle(name, ...fields) { return this.call(this.event(name, ...fields))[0]; }

  /** The reply to a message. Throws the text of its error. */
  ask(type, data = null, who = ANA) {
    const { done, threw, exhausted } = this.handle("message", who, type, JSON.stringify(data));
    if (done === undefined) throw new Error(threw ?? `exhausted: ${exhausted}`);
    const [name, text] = done.at(-1);
    if (name !== "reply") throw new Error(`${name}: ${text}`);
    return JSON.parse(text);
  }

  /** The lines that the last message's handler logs. */
  logs(type, data = null) {
    const { done, log } = this.handle("message", ANA, type, JSON.stringify(data));
    return (done ?? log).filter(([name]) => name === "log").map(([, level, text]) => `${LEVELS[level]}: ${text}`);
  }

  get saved() { return this.call(entry("save"))[0].saved; }
  get state() { return JSON.parse(this.saved).state; }

  close() { this.#cell.close(this.slot); }
}

let rooms = 1;

/** Random calls of a room in a slot, and of its twin. */
export class SlotPlay extends Play {
  #cell; #slot; #own;

  constructor(cell, slot, dice, options) {
    super(dice);
    this.#cell = cell;
    this.#slot = slot;
    this.id = (rooms++).toString(16).padStart(32, "b");
    this.manifest = cell.guest.describe();
    this.open();
    this.handle("create", options);
  }

  /** The slot is closed, and the room goes on in it as in a new instance. */
  open() {
    this.close();
    this.#own = guestOf(this.#cell.memory);
    this.#call(entry("open", LIMIT, this.manifest.stateVersion, this.saved ?? "", this.info()));
  }

  close() { this.#cell.close(this.#slot); }

  #call(...entries) {
    const answer = this.#cell.call(this.#slot, ...entries), own = Buffer.from(this.#own.call(joined(entries)));
    if (!answer.equals(own)) assert.deepEqual(outcomesOf(answer), outcomesOf(own));
    return outcomesOf(answer);
  }

  deliver(header, name, fields) {
    const [{ done }, last] = this.#call(event({ limit: LIMIT, ...header }, name, ...fields), entry("save"));
    if (done !== undefined) this.saved = last.saved;
    return done;
  }
}
