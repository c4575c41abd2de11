// A room and its host, for tests: the real bundle of a guest in a global scope of its own, and a host that keeps
// members, timers, views and a log as the real one does.
//
// Authors test by `packages/chorus-rooms`, which runs the built component alone and does what a server does around a room. This is for
// the SDK: it also runs the SDK without the engine, shows each event's effects, and leaves the server's part (held seats, the end of an
// empty room, what follows a failure) to the story.
//
// Every event is handled twice: by the instance that has handled all earlier events, and by a twin that was restored just
// before from the result of `save`. Both must return the same effects. So each story is also a test of replay.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Script, createContext } from "node:vm";
import { after } from "node:test";

import { bundle } from "../build/bundle.mjs";
import { claimsText, fieldsOf, named } from "../../packages/chorus-rooms/src/effects.mjs";
import { digest, roomNamed, sessionNamed as session } from "../../packages/chorus-rooms/src/virtual-room.mjs";
import { EFFECTS, oneByOne } from "../build/contract.mjs";
import { snapshot } from "../build/engine.mjs";
import { changesIn, guestOf } from "../build/run.mjs";
import { allGuests, entryOf } from "../build/sources.mjs";
import { DATE } from "./clock.mjs";

const GUESTS = fileURLToPath(new URL("..", import.meta.url));
const START = 1_700_000_000_000;
/** Which of the two runs a story's room: the SDK alone, or the engine, as in a component. */
const IN_ENGINE = process.env.CHORUS_TEST_GUEST === "engine";
const scratch = mkdtempSync(join(tmpdir(), "guests-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A room of a kind in this repository. */
export async function room(kind, options = {}, more = {}) {
  return new Story(await scriptOf(kind), { kind, ...more }).create(options);
}

/** A room with the given class body: `await roomOf("messages = { … }")`. */
export async function roomOf(body, options = {}, more = {}) {
  return new Story(await compiledClass(body), { kind: "test", ...more }).create(options);
}

/** Like [`roomOf`], before its first event. */
export async function uncreatedRoom(body) {
  return new Story(await compiledClass(body), { kind: "test" });
}

const cache = new Map();

export async function scriptOf(kind) {
  if (!cache.has(kind)) {
    const guest = allGuests(GUESTS).find((known) => known.kind === kind);
    cache.set(kind, compiled(await bundle(entryOf(guest).entry)));
  }
  return cache.get(kind);
}

let files = 0;

export async function compiledClass(body) {
  const file = join(scratch, `room-${files++}.js`);
  writeFileSync(file, `import { Room, LOBBY } from "chorus";\nexport default class Test extends Room {\n${body}\n}\n`);
  return compiled(await bundle(file));
}

/** What makes a new instance of a bundle, with this clock. */
export function compiled(bundled) {
  if (IN_ENGINE) {
    const memory = snapshot(bundled.guest);
    return { instance: () => oneByOne(guestOf(memory)), changes: (effects) => changesIn(effects, bundled.map) };
  }
  const script = new Script(`${bundled.script}\nguest;`);
  const date = new Script(DATE);
  return {
    // The SDK in Node keeps what a module keeps.
    changes: () => [],
    instance(clock) {
      const context = createContext({ clock, TextEncoder, TextDecoder });
      date.runInContext(context);
      return oneByOne(script.runInContext(context));
    },
  };
}

export { roomNamed, session };

export class Story {
  /** The effects so far: views and events by member, and the requests to the host. */
  views = new Map();
  events = new Map();
  timers = new Map();
  /** The requests that have no answer yet, the oldest first. */
  requests = [];
  moves = [];
  kicked = [];
  created = [];
  sent = [];
  log = [];
  sharedView = undefined;
  metadata = undefined;
  outcome = undefined;

  #script; #guest; #check; #clock = { now: START };
  #members = new Map();
  #offset = 0;
  #locked = false;

  /** `check`: whether module state that an event leaves changed fails the story. */
  constructor(script, { kind, id = roomNamed(kind), creator, check = true } = {}) {
    this.#script = script;
    this.#check = check;
    this.info = { id, kind, creator };
    this.#guest = this.#instance();
    this.#take(effectsOf(this.#guest.open(this.#info(undefined), 0, "")));
  }

  create(options = {}) { return this.#event({ tag: "create", val: JSON.stringify(options) }); }

  /** `name` is the player's identity and name; `tab` distinguishes several sessions of one player. */
  join(name, { tab = name, options = {}, full, from, claims } = {}) {
    const replaced = this.#replacedBy(name);
    const member = { session: session(tab), player: name, name, connected: true, spectator: full ?? this.#isFull(replaced) };
    this.#joining = member;
    this.#event({ tag: "join", val: { member: { ...member }, claims: claimsText(claims), options: JSON.stringify(options), from } });
    if (!this.#members.has(member.session)) return this;
    const { effects } = this;
    for (const one of replaced) effects.push(...this.#leave(one.session, "replaced").effects);
    this.effects = effects;
    return this;
  }
  #joining;

  #isFull(leaving = []) {
    const { maxPlayers = 0 } = JSON.parse(this.manifest.config);
    const players = [...this.#members.values()].filter((member) => !member.spectator && !leaving.includes(member));
    return maxPlayers > 0 && players.length >= maxPlayers;
  }

  /** The members that a further session of this player replaces, as the room's machine finds them. */
  #replacedBy(player) {
    const { sessionsPerPlayer = 0 } = JSON.parse(this.manifest.config);
    const seats = [...this.#members.values()].filter((member) => member.player === player);
    return sessionsPerPlayer > 0 ? seats.slice(0, Math.max(0, seats.length + 1 - sessionsPerPlayer)) : [];
  }

  message(name, type, data) {
    return this.#event({ tag: "message", val: { session: session(name), type, data: JSON.stringify(data ?? null) } });
  }

  drop(name) {
    this.#members.get(session(name)).connected = false;
    return this.#event({ tag: "drop", val: session(name) }, (members) => { members.get(session(name)).connected = true; });
  }

  reconnect(name) {
    this.#members.get(session(name)).connected = true;
    return this.#event({ tag: "reconnect", val: session(name) }, (members) => { members.get(session(name)).connected = false; });
  }

  /** The guest of this session has signed in as the player `as`. */
  identify(name, as, { claims } = {}) {
    const { session: of, player: was } = this.#members.get(session(name));
    this.#identity = { session: of, player: as, name: as };
    return this.#event({ tag: "identify", val: { ...this.#identity, was, claims: claimsText(claims) } });
  }
  #identity;

  leave(name, reason = "left") { return this.#leave(session(name), reason); }

  #leave(of, reason) {
    const gone = this.#members.get(of), before = new Map(this.#members);
    this.#members.delete(of);
    return this.#event({ tag: "leave", val: { session: of, reason } }, (members) => {
      // In its old place.
      const others = new Map(members);
      members.clear();
      for (const id of before.keys()) members.set(id, others.get(id) ?? gone);
    });
  }

  /** An operator erases this player, who is no member. */
  erase(player) { return this.#event({ tag: "erase", val: player }); }

  /** The move that the room requested has succeeded. */
  moved(name) {
    this.moves = this.moves.filter((move) => move.session !== session(name));
    return this.leave(name, "moved");
  }

  moveFailed(name, room, reason = "refused") {
    return this.#event({ tag: "move-failed", val: { session: session(name), room, reason } });
  }

  /** Lets time pass, and fires the timers that are due in it. */
  wait(ms) {
    const until = this.now + ms;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.due <= until).sort(([, a], [, b]) => a.due - b.due)[0];
      if (due === undefined || this.outcome !== undefined) break;
      const [name, { due: at, payload }] = due;
      this.timers.delete(name);
      this.#clock.now = Math.max(this.now, at);
      this.#event({ tag: "timer", val: { name, payload } });
    }
    this.#clock.now = until;
    return this;
  }

  /** The oldest request is answered, with what was found or with an `error`. */
  answer({ rooms = [], error = "" }) {
    const { handler, payload } = this.requests[0], result = error === "" ? JSON.stringify({ rooms, asOf: this.now, truncated: false }) : "null";
    // A restored room has the request until its guest has the answer.
    this.#answering = this.requests.shift();
    try { return this.#event({ tag: "answer", val: { handler, failed: error, payload, result } }); } finally { this.#answering = undefined; }
  }
  #answering;

  roomMessage(room, data) { return this.#event({ tag: "room-message", val: { room, data: JSON.stringify(data) } }); }
  ended(room, outcome, failed) { return this.#event({ tag: "room-end", val: { room, outcome: JSON.stringify(outcome ?? null), failed } }); }
  dispose(outcome) { return this.#event({ tag: "dispose", val: JSON.stringify(outcome ?? null) }); }

  get now() { return this.#clock.now; }
  get state() { return JSON.parse(this.saved.state).state; }
  get saved() { return savedBy(this.#guest); }
  get manifest() { return plain(this.#guest.describe()); }

  viewOf(name) { return this.views.get(session(name)) ?? this.sharedView; }
  /** The events that this member has received since the previous call. */
  received(name) {
    const events = this.events.get(session(name)) ?? [];
    this.events.set(session(name), []);
    return events;
  }

  /** Replaces the instance with a new one from its saved state, of this script or another. */
  restore(why, script = this.#script) {
    const saved = this.saved;
    const guest = this.#instance(script);
    const effects = effectsOf(guest.open(this.#info(why), saved.version, saved.state));
    this.#guest = guest;
    this.#script = script;
    return this.#take(effects);
  }

  #instance(script = this.#script) { return script.instance(this.#clock); }

  #info(restored, members = this.#members) {
    const list = [...members.values()], timers = [...this.timers.keys()];
    const requests = [...(this.#answering ? [this.#answering] : []), ...this.requests].map(({ handler }) => handler);
    return JSON.stringify({ ...this.info, now: this.now, chance: this.#chance(), members: list, timers, requests, locked: this.#locked, restored, check: this.#check });
  }

  #chance() { return digest(`${this.info.id} ${this.#offset}`); }

  #handle(guest, event) {
    const outcome = guest.handle({ now: this.now, chance: this.#chance() }, event.tag, ...fieldsOf(event));
    const [changed] = this.#script.changes(outcome.done ?? []);
    if (changed !== undefined) throw new assert.AssertionError({ message: `${event.tag} ${event.val?.type ?? event.val?.name ?? ""}: ${changed}` });
    // Those of packages come once for each instance.
    return effectsOf(outcome).filter(({ tag, val }) => tag !== "log" || !val.text.startsWith("module state: "));
  }

  /** `before` changes a copy of the members back to their state before the event. */
  #event(event, before = () => {}) {
    this.#offset += 1;
    const twin = this.#twin(event, before);
    let effects, error;
    try {
      effects = this.#handle(this.#guest, event);
    } catch (thrown) {
      if (thrown instanceof assert.AssertionError) throw thrown;
      error = thrown;
    }
    assert.deepEqual(twin, { effects, error: firstLine(error), saved: error === undefined ? this.saved : undefined }, "a restored room does the same");
    if (error !== undefined) {
      // The host drops the instance and restores the room from before the call.
      if (typeof error !== "string") throw error;
      assert.ok(error.isWellFormed(), "half a surrogate pair would trap");
      throw new Error(error);
    }
    return this.#take(effects);
  }

  #twin(event, before) {
    const guest = this.#instance();
    const members = new Map([...this.#members].map(([id, member]) => [id, { ...member }]));
    before(members);
    const { version, state } = event.tag === "create" ? { version: 0, state: "" } : this.saved;
    guest.open(this.#info(event.tag === "create" ? undefined : "recovered", members), version, state);
    try {
      const effects = this.#handle(guest, event);
      return { effects, error: undefined, saved: savedBy(guest) };
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return { effects: undefined, error: firstLine(error), saved: undefined };
    }
  }

  #take(effects) {
    this.effects = plain(effects);
    this.reply = undefined;
    this.refused = undefined;
    assert.ok(everyText(this.effects, (text) => text.isWellFormed()), "half a surrogate pair would trap");
    for (const { tag, val } of this.effects) this.#apply(tag, val);
    return this;
  }

  #apply(tag, val) {
    const deliver = (to, { type, data }) => this.events.set(to, [...(this.events.get(to) ?? []), { type, data: JSON.parse(data) }]);
    switch (tag) {
      case "admit": this.#members.set(this.#joining.session, { ...this.#joining, spectator: val === "spectator" }); break;
      case "reply": assert.equal(this.reply, undefined, "one answer"); this.reply = JSON.parse(val); break;
      case "refuse": this.refused = val; break;
      case "send": deliver(val.session, val); break;
      case "broadcast": for (const to of this.#members.keys()) if (!val.except.includes(to)) deliver(to, val); break;
      case "view": this.sharedView = JSON.parse(val); break;
      case "view-of": this.views.set(val.session, JSON.parse(val.view)); break;
      case "move-to": this.moves.push({ session: val.session, room: val.room, options: JSON.parse(val.options) }); break;
      case "kick": this.kicked.push(val); break;
      case "create-room": this.created.push({ kind: val.kind, options: JSON.parse(val.options) }); break;
      case "send-room": this.sent.push({ room: val.room, data: JSON.parse(val.data) }); break;
      case "set-timer": this.timers.set(val.name, { due: this.now + Math.ceil(val.afterMs), payload: val.payload }); break;
      case "request": this.requests.push(val); break;
      case "cancel-timer": this.timers.delete(val); break;
      case "lock": this.#locked = true; break;
      case "unlock": this.#locked = false; break;
      case "metadata": this.metadata = JSON.parse(val); break;
      case "end": this.outcome ??= JSON.parse(val); break;
      case "log": this.log.push(val); break;
      case "identify": Object.assign(this.#members.get(this.#identity.session), this.#identity); break;
      case "sit": this.#setSpectator(val, false); break;
      case "stand": this.#setSpectator(val, true); break;
      // One that only the real host carries out: the story has it in `effects`.
      default: assert.ok(Object.hasOwn(EFFECTS, tag), `an unknown effect, ${tag}`);
    }
  }

  /** As the room's machine checks it. */
  #setSpectator(who, spectator) {
    const member = this.#members.get(who);
    assert.equal(member?.spectator, !spectator, "a member sits down or stands up");
    assert.ok(spectator || !this.#isFull(), "a seat is free");
    member.spectator = spectator;
  }
}

/** The effects of an outcome. An error is thrown. */
function effectsOf({ done, threw }) {
  if (threw !== undefined) throw threw;
  return named(done);
}

function savedBy(guest) {
  const { saved, threw } = guest.save();
  if (threw !== undefined) throw threw;
  return { version: guest.describe().stateVersion, state: saved };
}

/** Copies a value from the other global scope. */
function plain(value) { return value === undefined ? undefined : JSON.parse(JSON.stringify(value)); }
function everyText(value, holds) {
  if (typeof value === "string") return holds(value);
  return typeof value !== "object" || value === null || Object.values(value).every((part) => everyText(part, holds));
}
function firstLine(error) { return error === undefined ? undefined : String(error).split("\n")[0]; }
