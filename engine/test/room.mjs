// A room in the engine, for tests: a module's text and a class body, and calls of its messages.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { bundle } from "../../guests/build/bundle.mjs";
import { LEVELS, oneByOne } from "../../guests/build/contract.mjs";
import { snapshot } from "../../guests/build/engine.mjs";
import { guestOf } from "../../guests/build/run.mjs";

const scratch = mkdtempSync(join(tmpdir(), "engine-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

export const ANA = "0".repeat(31) + "1", BEA = "0".repeat(31) + "2";
const NOW = 1_700_000_000_000;

let files = 0;

/** A new file with this text. */
export function fileOf(text) {
  const file = join(scratch, `room-${files++}.js`);
  writeFileSync(file, text);
  return file;
}

/** The memory of a guest with these statements at its top level and this class body, and its plain script for Node. */
export async function built(body, top = "") {
  const file = fileOf(`import { Room, LOBBY } from "chorus";\n${top}\nexport default class Test extends Room {\n${body}\n}\n`);
  const { guest, script } = await bundle(file);
  return { memory: snapshot(guest), script };
}

/** A room that has been opened and created, with Ana and Bea in it. */
export async function roomOf(body, top) { return new Room((await built(body, top)).memory); }

/** The same, with reports of module state that a call leaves changed. */
export async function checkedRoomOf(body, top) { return new Room((await built(body, top)).memory, undefined, HASH_SEED, true); }

/** Of one room, as the host gives it at each opening. */
export const HASH_SEED = "00112233445566778899aabbccddeeff";

export class Room {
  #offset = 0; #calls;

  constructor(memory, saved, hashSeed = HASH_SEED, check = false) {
    this.memory = memory;
    this.guest = guestOf(memory);
    this.#calls = oneByOne(this.guest);
    const members = saved === undefined ? [] : [ANA, BEA].map((session) => ({ session, player: session, name: session.at(-1), connected: true, spectator: false }));
    const info = { id: "f".repeat(32), kind: "test", now: NOW, chance: this.chance(), hashSeed, check, members, timers: [], locked: false };
    this.opened = shown(this.#calls.open(JSON.stringify({ ...info, restored: saved === undefined ? undefined : "recovered" }), 1, saved ?? ""));
    if (saved !== undefined) return;
    this.handle("create", "{}");
    for (const session of [ANA, BEA]) this.handle("join", session, { player: session, name: session.at(-1), spectator: false }, "", "{}");
  }

  /** The same room in another instance, as the host restores it. */
  restored() { return new Room(this.memory, this.saved); }

  chance(offset = this.#offset) { return (offset * 2_654_435_761 >>> 0).toString(16).padStart(8, "0").repeat(8); }

  /** The outcome as a text: `!` and the error, `?` for one that is exhausted, or the effects, separated by U+001E, their fields by U+001F. */
  handle(event, ...fields) {
    this.#offset += 1;
    return this.handleAt(this.#offset, event, ...fields);
  }

  handleAt(offset, event, ...fields) {
    return shown(this.#calls.handle({ now: NOW + offset, chance: this.chance(offset) }, event, ...fields));
  }

  /** The reply to a message; throws the error's text. */
  ask(type, data = null, who = ANA) {
    const text = this.handle("message", who, type, JSON.stringify(data));
    if (text.startsWith("!")) throw new Error(text.slice(1).split("\x1e")[0]);
    const answer = text.split("\x1e").at(-1).split("\x1f");
    if (answer[0] !== "reply") throw new Error(text);
    return JSON.parse(answer[1]);
  }

  /** How many polls an entry may take, and how many the last one has taken. */
  set limit(polls) { this.#calls.limit = polls; }
  get used() { return this.#calls.used; }

  get saved() { return this.#calls.save().saved; }
  get state() { return JSON.parse(this.saved).state; }
}

function shown({ done, threw, log, exhausted }) {
  const effects = (done ?? log ?? exhausted).map(([name, ...fields]) => [name, ...(name === "log" ? [LEVELS[fields[0]], fields[1]] : fields.flat())].join("\x1f"));
  return [...(threw === undefined ? [] : [`!${threw}`]), ...(exhausted === undefined ? [] : ["?"]), ...effects].join("\x1e");
}
