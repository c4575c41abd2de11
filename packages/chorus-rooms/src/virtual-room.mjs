// A virtual room: one room with all that a server does around it (members, held seats, timers, moves, rollback, restores), in virtual
// time and without waiting. It decides as `core/src/room` does; a difference is a fault of this file, and
// `chorus/tests/e2e/virtual.test.mjs` does the same steps to both.
//
// Every event is handled twice where `replay` is on: by the instance that has handled all earlier ones, and by a twin that was restored
// just before from the saved state. Both must give the same effects and the same state, as in a server's replay.
//
// Not here: other rooms (what this one sends them is in `created` and `sent`), batches, the probation after a swap, the limit of time on
// a call, and the network: an event is handled when it is requested.
//
// Bounds: the latest events of each member and the latest log lines are kept (`KEPT`), and at most
// `MAX_FIRINGS` timers fire at one time.

import { createHash } from "node:crypto";

import { BUDGETS } from "../../../guests/sdk/limits.js";
import { claimsText, fieldsOf, named } from "./effects.mjs";

export const START = 1_700_000_000_000;
export const LOBBY = "00000000000000000000000000010bb7";
/** As in `core/src/room/commands/membership.rs`: a room that has had no member waits at least this long. */
const FIRST_JOIN_MS = 10_000;
const HOLD_SECONDS = 60, EMPTY_SECONDS = 60;
const KEPT = 10_000;
const MAX_FIRINGS = 1_000;
/** How long a timer waits after a takeover, unless its own delay is shorter. */
const GRACE_MS = 10_000;

/** What a poll stands for, and what the saved state adds for each byte, in units of fuel. */
const POLL_FUEL = 100, STATE_FUEL = 300;
/** Bytes above which a view is sent whole at each change: half of `MAX_COMPARED` in `core/src/diff.rs`, which has both texts. */
export const LARGE_VIEW = 128 * 1024;
const MODULE_STATE = "module state: ";
const CLIENT = new Set(["message", "join", "drop", "reconnect", "leave"]);

/** A call that failed. `code`: `fault` (it threw, or trapped) or `too_costly`. */
export class RoomError extends Error {
  constructor(code, message, text = message) {
    super(message);
    this.name = "RoomError";
    this.code = code;
    this.text = text;
  }
}

/** What a test must not go on after: the room is not deterministic, or a variable of a module was left changed. */
export class Broken extends Error {
  constructor(rule, message, cause) {
    super(message, { cause });
    this.name = "Broken";
    this.rule = rule;
  }
}

export class VirtualRoom {
  /** By session, in the order of joining: `{ session, player, name, connected, spectator, hold, moving, view, events }`. */
  members = new Map();
  /** By name: `{ due, payload }`. */
  timers = new Map();
  /** Requests that have no answer yet, by their numbers: `{ kind, where, handler, payload, due, delayMs }`. */
  requests = new Map();
  created = [];
  sent = [];
  kicked = [];
  /** What the script has reported to operators. */
  reports = [];
  log = [];
  sharedView = undefined;
  metadata = undefined;
  locked = false;
  /** `{ outcome, failed }` once the room has ended. */
  ended = undefined;
  /** Failures of calls, in their order; the caller that drives the room takes them. */
  failures = [];
  /** Entries as the guest got them and what it answered, for a replay. */
  entries = undefined;
  /**
   * Called after each record and swap, once all that belongs to it is done: a record has further events where a member is replaced or
   * kicked, and where it ends the room. What it throws, the action that has caused the record throws.
   */
  onEvent = () => {};
  /**
   * Called after each call of the script: `{ tag, handler, name, fuel, limit, share, refused, failed }`. `name`: of the message type, the timer or the
   * answer's handler. `fuel` and its `limit` in the units of `docs/scripting.md`, "Budgets"; `share` is one by the other.
   */
  onCall = () => {};
  /** The latest of these; undefined before the first. */
  lastCall = undefined;
  firings = 0;
  sharedViewSize = 0;
  /** Bytes of the largest view there has been, of those with more than a third of `LARGE_VIEW` characters. */
  largestView = 0;

  #script; #guest; #saved; #secret; #clock = { now: START };
  #within = 0; #hasChanged = false;
  #offset = 0; #faults = 0; #joins = 0; #closesAt; #replay; #check; #taken = new Map(); #rooms; #requested = 0; #find;

  /**
   * `script`: `{ manifest, config, instance, release, changes, readable }`, such as a `Component`. `secret`: what the room's randomness is
   * made from. `rooms`: how many rooms it may create. `find`: from a kind and fields of
   * metadata to the rooms that the server has; without it a test answers (`answer`), or a request fails at its deadline. `record`: whether its entries are kept.
   */
  constructor(script, { kind = script.kind, id, creator, secret = "", replay = true, check = true, rooms, find, record = false } = {}) {
    this.#script = script;
    this.kind = kind;
    this.id = id ?? (kind === "lobby" ? LOBBY : roomNamed(kind));
    this.creator = creator;
    this.#secret = secret;
    this.#replay = replay;
    this.#check = check;
    this.#rooms = rooms ?? script.config.budget?.rooms ?? BUDGETS.rooms.normal;
    this.#find = find;
    if (record) this.entries = [];
  }

  setReplay(on) { this.#replay = on; }

  get now() { return this.#clock.now; }
  get offset() { return this.#offset; }
  get config() { return this.#script.config; }
  get manifest() { return this.#script.manifest; }
  get isLobby() { return this.id === LOBBY; }
  get isAsleep() { return this.#guest === undefined; }
  get savedText() { return this.#saved.state; }
  get saved() { return JSON.parse(this.#saved.state); }
  get state() { return this.saved.state; }
  /** Characters of the saved state, and of the largest view. */
  get sizes() {
    let view = this.sharedViewSize;
    for (const { viewSize = 0 } of this.members.values()) view = Math.max(view, viewSize);
    return { state: this.#saved?.state.length ?? 0, view };
  }
  viewOf(session) { return this.members.get(session)?.view ?? this.sharedView; }

  // ---- What happens to a room ----

  create(options = {}) { return this.#record(() => this.#create(options)); }

  #create(options) {
    this.#guest = this.#opened(this.#script, this.#info(undefined), { version: 0, state: "" }, "create").guest;
    const failed = this.#event({ tag: "create", val: JSON.stringify(options) });
    if (failed !== undefined) return this.#end({ outcome: null, failed: `its script ${failed.text}` });
    if (this.ended === undefined) this.#armClose();
    return undefined;
  }

  /** Returns why the player was refused, or undefined. */
  join(joining) { return this.#record(() => this.#join(joining)); }

  #join({ session, player, name, claims, options = null, from }) {
    if (this.members.has(session)) return this.reconnect(session);
    const replaced = this.#replacedBy(player);
    if (this.locked && replaced.length === 0) return "the room is locked";
    const joining = { session, player, name, connected: true, spectator: this.#isFull(replaced) };
    let refused;
    const val = { member: { ...joining }, claims: claimsText(claims), options: JSON.stringify(options), from };
    const failed = this.#event({ tag: "join", val }, undefined, {
      admit: (role) => { this.members.set(session, { ...joining, spectator: role === "spectator", events: [] }); this.#joins += 1; this.#closesAt = undefined; },
      refuse: (reason) => { refused = reason; },
    });
    if (failed !== undefined) return "the room's script failed";
    if (this.members.has(session)) for (const older of replaced) this.leave(older, "replaced");
    return refused ?? (this.members.has(session) || this.kicked.length > 0 ? undefined : "the room did not let you in");
  }

  drop(session) { return this.#record(() => this.#dropMember(session)); }

  #dropMember(session) {
    const member = this.members.get(session);
    if (!member.connected) return;
    if (this.isLobby && !member.hasSent && !member.moving) return this.leave(session, "timed-out");
    this.#event({ tag: "drop", val: session }, () => {
      member.connected = false;
      member.hold = { due: this.now + (this.config.reconnectSeconds ?? HOLD_SECONDS) * 1000 };
    });
  }

  reconnect(session) {
    const member = this.members.get(session);
    if (member.connected) return undefined;
    this.#event({ tag: "reconnect", val: session }, () => {
      member.connected = true;
      member.hold = undefined;
    });
    return undefined;
  }

  leave(session, reason = "left") { return this.#record(() => this.#leave(session, reason)); }

  #leave(session, reason) {
    if (!this.members.has(session)) return;
    const member = this.members.get(session);
    this.#event({ tag: "leave", val: { session, reason } }, () => {
      // What a player has seen last is still to be seen.
      member.view ??= this.sharedView;
      this.members.delete(session);
      this.#armClose();
    });
  }

  /** The answer: `{ reply }`, `{ refused }` or `{ failed }`. */
  message(session, type, data = null) {
    const member = this.members.get(session);
    if (!this.manifest.messages.includes(type)) return { unknown: `this room has no message ${JSON.stringify(type)}; it has ${this.manifest.messages.join(", ")}` };
    member.hasSent = true;
    const answer = {};
    const failed = this.#event({ tag: "message", val: { session, type, data: JSON.stringify(data) } }, undefined, {
      reply: (text) => { answer.reply ??= JSON.parse(text); },
      refuse: (reason) => { answer.refused = reason; },
    });
    if (failed !== undefined) return { failed };
    if (answer.refused === undefined && answer.reply === undefined) answer.reply = null;
    return answer;
  }

  /** The guest of this session has signed in as another player. */
  identify(session, { player, name, claims }) {
    const member = this.members.get(session);
    const val = { session, was: member.player, player, name, claims: claimsText(claims) };
    this.#event({ tag: "identify", val }, undefined, { identify: () => Object.assign(member, { player, name }) });
  }

  /** An operator erases this player. */
  erase(player) { this.#record(() => this.#erase(player)); }

  #erase(player) {
    for (const [session, member] of [...this.members]) if (member.player === player) this.leave(session, "kicked");
    if (this.ended === undefined) this.#event({ tag: "erase", val: player });
  }

  /** The move that the room requested has succeeded. */
  arrive(session) { this.leave(session, "moved"); }

  moveFailed(session, reason = "refused") {
    const { room } = this.members.get(session).moving;
    this.#event({ tag: "move-failed", val: { session, room, reason } }, () => { this.members.get(session).moving = undefined; });
  }

  roomMessage(room, data) { this.#event({ tag: "room-message", val: { room, data: JSON.stringify(data ?? null) } }); }

  /** A room that this one created has ended. */
  childEnded(room, outcome, failed) {
    this.#event({ tag: "room-end", val: { room, outcome: JSON.stringify(outcome ?? null), failed } }, () => {
      this.#taken.delete(room);
      const known = this.created.find((one) => one.room === room);
      if (known) known.ended = true;
    });
  }

  /** Lets time pass. What is due in it happens in the order of its time: timers, held seats that expire, the end of an empty room. */
  advance(ms) {
    const until = this.now + ms;
    for (let fired = 0, at = this.now; this.ended === undefined && this.failures.length === 0; fired++) {
      const next = this.nextDue();
      if (next === undefined || next.due > until) break;
      if (next.due > at) fired = 0;
      at = Math.max(at, next.due);
      if (fired === MAX_FIRINGS) throw new Broken("timers", `timers fire without end: ${MAX_FIRINGS} at one time, the last one is timers.${next.timer}`);
      this.#clock.now = Math.max(this.now, next.due);
      this.#fire(next);
    }
    if (this.failures.length === 0) this.#clock.now = Math.max(this.now, until);
  }

  /** The next thing that time brings: `{ due, timer?, session? }`. */
  nextDue() {
    let next;
    const consider = (one) => { if (next === undefined || one.due < next.due) next = one; };
    for (const [timer, { due }] of this.timers) consider({ due, timer });
    for (const [request, { due }] of this.requests) consider({ due, request });
    for (const [session, { hold }] of this.members) if (hold) consider({ due: hold.due, session });
    if (this.#closesAt !== undefined) consider({ due: this.#closesAt });
    return next;
  }

  #fire(due) { return this.#record(() => this.#fireOne(due)); }

  #fireOne({ timer, session, request }) {
    if (request !== undefined) return this.#expire(request);
    if (timer !== undefined) {
      const { payload } = this.timers.get(timer);
      this.firings += 1;
      this.#event({ tag: "timer", val: { name: timer, payload } }, () => this.timers.delete(timer));
    } else if (session !== undefined) {
      this.leave(session, "timed-out");
    } else {
      this.#closesAt = undefined;
      this.#dispose(null);
    }
  }

  /** A request is answered by the test's rooms, or fails at its deadline. */
  #expire(number) {
    const { kind, where, delayMs } = this.requests.get(number);
    if (this.#find === undefined) return this.answer(number, { error: `no answer within ${delayMs} ms` });
    return this.answer(number, { rooms: this.#find(kind, where) });
  }

  /** Answers a request, with `rooms` or with an `error`. */
  answer(number, { rooms = [], truncated = false, asOf = this.now, error }) {
    const request = this.requests.get(number);
    if (request === undefined) return;
    const { handler, payload } = request;
    if (!(this.config.answers ?? []).includes(handler)) return void this.requests.delete(number);
    const result = error === undefined ? JSON.stringify({ rooms, asOf, truncated }) : "null";
    this.#event({ tag: "answer", val: { handler, failed: error ?? "", payload, result } }, () => this.requests.delete(number));
  }

  /** The server was gone for a time: timers wait as after a takeover, `core/src/room/clock.rs`. */
  outage(ms) {
    this.#clock.now += ms;
    for (const timer of this.timers.values()) timer.due = Math.max(timer.due, this.now + Math.min(GRACE_MS, timer.delayMs));
    this.crash();
  }

  /** The server was killed: a new instance from the saved state. */
  crash() { this.#reopen(this.isAsleep ? "woken" : "recovered"); }

  /** The room hibernates: its next event has a new instance. */
  sleep() {
    if (this.isAsleep) return;
    this.#drop(this.#guest);
    this.#guest = undefined;
  }

  /** Changes the room to this script. Returns why the script refuses the room's state, or undefined. */
  swap(script = this.#script) {
    const info = this.#info("swapped");
    const { guest, effects, error } = this.#opened(script, info, this.#saved, "swap");
    if (error !== undefined) return script.readable(error);
    if (this.#guest !== undefined) this.#drop(this.#guest);
    this.#guest = guest;
    this.#script = script;
    this.#save();
    if (effects.some(({ tag }) => tag === "view")) for (const member of this.members.values()) member.view = undefined;
    this.#apply(effects);
    this.onEvent();
    return undefined;
  }

  // ---- One event ----

  /** What `action` does is one record: `onEvent` is called at its end. */
  #record(action) {
    if (this.#within > 0) return action();
    let result;
    this.#within += 1;
    this.#hasChanged = false;
    try {
      result = action();
    } finally {
      this.#within -= 1;
    }
    if (this.#hasChanged) this.onEvent();
    return result;
  }

  #event(...given) { return this.#record(() => this.#eventOf(...given)); }

  /**
   * Has the guest handle an event. `change`: what the server does to its own books before, and keeps if the call fails. Returns the
   * failure, if there is one.
   */
  #eventOf(event, change = () => {}, answers = {}) {
    if (this.ended !== undefined) throw new Error("the room has ended");
    this.#wake();
    this.#offset += 1;
    const twin = this.#replay ? this.#twin(event) : undefined;
    const before = this.#saved;
    change();
    const result = this.#handled(this.#guest, event, before);
    if (result.error === undefined) this.#save();
    if (twin !== undefined) this.#mustEqual(event, twin, result);
    if (this.entries !== undefined) this.#recordEntry(result);
    this.#noteCall(event, result);
    if (result.changed !== undefined) this.failures.push(new Broken("module state", `${what(event)}: ${result.changed}`));
    if (result.error !== undefined) return this.#failed(event, result);
    this.#faults = 0;
    this.#hasChanged = true;
    this.#apply(result.effects, answers);
    return undefined;
  }

  #noteCall({ tag, val }, { used, limit, effects, error }) {
    const refused = effects.some((effect) => effect.tag === "refuse"), name = val?.type ?? val?.name ?? val?.handler;
    this.lastCall = { tag, handler: handlerOf({ tag, val }), name, fuel: used * POLL_FUEL, limit: limit * POLL_FUEL, share: used / limit, refused, failed: error !== undefined };
    this.onCall(this.lastCall);
  }

  /** A server has it in its log what was exhausted or has trapped: a replay does not try it again. */
  #recordEntry(result) {
    const gave = given(result, result.error === undefined ? this.#saved.state : undefined);
    this.entries.push({ handle: result.entry, gave, isLost: result.exhausted || result.trapped });
  }

  /** What this event does to the instance. */
  #handled(guest, event, saved) {
    const header = { now: this.now, chance: this.#chance(), limit: this.#limit(event.tag, saved) };
    const entry = [header, event.tag, ...fieldsOf(event)];
    const call = { entry, limit: header.limit, used: 0 };
    let outcome;
    try {
      outcome = guest.handle(...entry);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError) && !(error instanceof RangeError)) throw error;
      guest.isLost = true;
      return { ...call, effects: [], error: `trapped: ${error.message}`, trapped: true };
    }
    call.used = guest.used;
    const memory = this.#script.memoryOf?.(guest) ?? 0, most = this.config.budget?.memoryMiB ?? BUDGETS.memoryMiB.normal;
    if (memory > most << 20) return { ...call, effects: [], error: `used more memory than it may: ${most} MiB`, exhausted: true };
    const raw = outcome.done ?? outcome.log ?? outcome.exhausted ?? [];
    const [changed] = outcome.done === undefined ? [] : this.#script.changes(raw);
    const effects = named(raw).filter(({ tag, val }) => tag !== "log" || !val.text.startsWith(MODULE_STATE));
    if (outcome.threw !== undefined) return { ...call, effects, error: outcome.threw };
    if (outcome.exhausted !== undefined) {
      const key = CLIENT.has(event.tag) ? "fuelPerMessage" : "fuelPerRecord";
      const error = `used more than it may for one record (${header.limit * POLL_FUEL} units of fuel): do less at once, or raise budget.${key} in static config`;
      return { ...call, effects, error, exhausted: true };
    }
    return { ...call, effects, changed };
  }

  /** As `host/src/guest/budget.rs`: what a client causes may use less than what the room does itself. */
  #limit(tag, saved) {
    const of = (key) => this.config.budget?.[key] ?? BUDGETS[key].normal;
    const fuel = of("fuelPerRecord");
    const own = CLIENT.has(tag) ? Math.min(of("fuelPerMessage") + STATE_FUEL * (saved?.state.length ?? 0), fuel) : fuel;
    return Math.floor(own / POLL_FUEL);
  }

  #twin(event) {
    const isNew = event.tag === "create";
    const { guest } = this.#opened(this.#script, this.#info(isNew ? undefined : "recovered"), isNew ? { version: 0, state: "" } : this.#saved, "twin");
    const result = this.#handled(guest, event, this.#saved);
    const given_ = given(result, result.error === undefined ? savedBy(guest, this.#script).state : undefined);
    this.#drop(guest);
    return given_;
  }

  #mustEqual(event, twin, result) {
    const own = given(result, result.error === undefined ? this.#saved.state : undefined);
    if (twin !== own) throw new Broken("replay", `${what(event)}: a restored room does not do the same\n  this one: ${cut(own)}\n  restored: ${cut(twin)}`);
  }

  /** The call has no effect: the room goes on from its state before. */
  #failed(event, { error, effects, exhausted, trapped }) {
    const text = this.#script.readable(error);
    const code = exhausted && CLIENT.has(event.tag) ? "too_costly" : "fault";
    const verb = exhausted || trapped ? "" : "threw ";
    const failure = new RoomError(code, `${what(event)} ${verb}${text}`, `${verb}${text}`);
    failure.handler = handlerOf(event);
    this.failures.push(failure);
    for (const { tag, val } of effects) if (tag === "log") this.#keepLine({ ...val, text: `(before it failed) ${val.text}` });
    if (event.tag !== "create" && event.tag !== "dispose") {
      this.#drop(this.#guest);
      this.#guest = undefined;
      this.#reopen("faulted");
      if ((exhausted && code === "fault") || trapped) this.#faults += 1;
      if (this.#faults >= (this.config.budget?.faults ?? BUDGETS.faults.normal)) this.#end({ outcome: null, failed: `its script failed ${this.#faults} times in a row` });
    }
    return failure;
  }

  // ---- Effects ----

  #apply(effects, answers = {}) {
    const admitted = effects.find(({ tag }) => tag === "admit");
    if (admitted) answers.admit?.(admitted.val);
    const kicked = [], ends = [];
    for (const { tag, val } of effects) {
      if (tag === "kick") kicked.push(val);
      else if (tag === "end") ends.push(JSON.parse(val));
      else this.#applyOne(tag, val, answers);
    }
    for (const { session, reason } of kicked) {
      this.kicked.push({ session, reason });
      if (this.ended === undefined) this.leave(session, "kicked");
    }
    if (ends.length > 0 && this.ended === undefined) this.#dispose(ends[0]);
  }

  #applyOne(tag, val, answers) {
    switch (tag) {
      case "reply": case "refuse": case "identify": return answers[tag]?.(val);
      case "send": return this.#deliver(val.session, val);
      case "broadcast": return this.members.forEach((_, session) => { if (!val.except.includes(session)) this.#deliver(session, val); });
      case "view": this.sharedView = JSON.parse(val); this.sharedViewSize = val.length; return this.#measure(val);
      case "view-of": return this.#setOwnView(val);
      case "move-to": return this.#move(val);
      case "create-room": return this.#createRoom(val);
      case "report": return keep(this.reports, { ...val, data: JSON.parse(val.data) });
      case "send-room": return keep(this.sent, { room: val.room, data: JSON.parse(val.data) });
      case "set-timer": return this.#setTimer(val);
      case "request": return this.#request(val);
      case "cancel-timer": return this.timers.delete(val);
      case "lock": this.locked = true; return undefined;
      case "unlock": this.locked = false; return undefined;
      case "metadata": this.metadata = JSON.parse(val); return undefined;
      case "log": return this.#keepLine({ ...val, text: this.#script.readable(val.text) });
      case "sit": case "stand": this.members.get(val).spectator = tag === "stand"; return undefined;
      // `admit` comes before all others.
      default: return undefined;
    }
  }

  #setTimer({ name, afterMs, payload }) {
    const delayMs = Math.ceil(afterMs);
    // Behind those that are set already, also where it replaces one.
    this.timers.delete(name);
    this.timers.set(name, { due: this.now + delayMs, delayMs, payload });
  }

  #request({ handler, afterMs, payload, data }) {
    const { kind, where } = JSON.parse(data), delayMs = Math.ceil(afterMs);
    this.requests.set(this.#requested += 1, { kind, where, handler, payload, delayMs, due: this.now + (this.#find === undefined ? delayMs : 1) });
  }

  #deliver(session, { type, data }) {
    const member = this.members.get(session);
    if (member) keep(member.events, { type, data: JSON.parse(data) });
  }

  #setOwnView({ session, view }) {
    const member = this.members.get(session);
    if (member) Object.assign(member, { view: JSON.parse(view), viewSize: view.length });
    this.#measure(view);
  }

  #measure(view) {
    if (view.length > LARGE_VIEW / 3) this.largestView = Math.max(this.largestView, Buffer.byteLength(view));
  }

  /** A member has one move at a time. */
  #move({ session, room, options }) {
    const member = this.members.get(session);
    if (member && !member.moving) member.moving = { room, options: JSON.parse(options) };
  }

  /** The n-th room of an event has the second half of its randomness as its id, with n added. */
  #createRoom({ kind, rooms, options }) {
    const half = this.#chance().slice(32);
    const at = this.#createdAt === this.#offset ? (this.#createdCount += 1) : (this.#createdCount = 0);
    this.#createdAt = this.#offset;
    const last = (parseInt(half.slice(24), 16) + at) >>> 0;
    const room = half.slice(0, 24) + last.toString(16).padStart(8, "0");
    this.#taken.set(room, rooms + 1);
    keep(this.created, { room, kind, options: JSON.parse(options), ended: false });
  }
  #createdAt; #createdCount = 0;

  #keepLine(line) { keep(this.log, line); }

  #armClose() {
    if (this.isLobby || this.config.keepWhenEmpty || this.members.size > 0 || this.#closesAt !== undefined) return;
    const wait = (this.config.emptySeconds ?? EMPTY_SECONDS) * 1000;
    this.#closesAt = this.now + Math.max(wait, this.#hadMember() ? 0 : FIRST_JOIN_MS);
  }

  #hadMember() { return this.#joins > 0; }

  #dispose(outcome) {
    this.#event({ tag: "dispose", val: JSON.stringify(outcome) });
    this.#end({ outcome, failed: undefined });
  }

  #end(ended) {
    this.ended ??= ended;
    this.timers.clear();
    this.requests.clear();
    this.#closesAt = undefined;
    for (const member of this.members.values()) member.hold = undefined;
    if (this.#guest !== undefined) this.#drop(this.#guest);
    this.#guest = undefined;
  }

  /** Ends the use of its instance: the room is not driven any further. */
  close() {
    if (this.#guest !== undefined) this.#drop(this.#guest);
    this.#guest = undefined;
  }

  /** `leaving`: sessions that are not counted. */
  #isFull(leaving = []) {
    const { maxPlayers = 0 } = this.config;
    const players = [...this.members.values()].filter(({ spectator, session }) => !spectator && !leaving.includes(session));
    return maxPlayers > 0 && players.length >= maxPlayers;
  }

  /** The sessions that leave once this player has joined by a further one, the oldest first. */
  #replacedBy(player) {
    const { sessionsPerPlayer = 0 } = this.config;
    const theirs = [...this.members.values()].filter((member) => member.player === player).map(({ session }) => session);
    return sessionsPerPlayer > 0 ? theirs.slice(0, Math.max(0, theirs.length + 1 - sessionsPerPlayer)) : [];
  }

  // ---- Instances ----

  #wake() { if (this.isAsleep) this.#reopen("woken"); }

  #reopen(why) {
    if (this.#guest !== undefined) this.#drop(this.#guest);
    this.#guest = undefined;
    const { guest, effects, error } = this.#opened(this.#script, this.#info(why), this.#saved, why);
    if (error !== undefined) {
      this.#end({ outcome: null, failed: `it cannot be opened from its saved state: ${this.#script.readable(error)}` });
      throw new Broken("restore", this.ended.failed);
    }
    this.#guest = guest;
    for (const { tag, val } of effects) {
      if (tag !== "log") continue;
      const text = this.#script.readable(val.text);
      this.#keepLine({ ...val, text });
      if (/^onRestore\("/.test(text)) this.failures.push(new Broken("restore", text));
    }
  }

  /** A new instance with this state: `{ guest, effects }`, or `{ error }`. */
  #opened(script, info, { version, state }, why) {
    const guest = script.instance(this.#clock);
    const { done, threw, exhausted } = guest.open(info, version, state);
    const error = threw ?? (exhausted === undefined ? undefined : "used more than it may to open");
    if (error !== undefined && why !== "swap") throw new Broken("restore", `it cannot be opened: ${script.readable(error)}`);
    // Between these, a replay needs no other instance.
    if (this.entries !== undefined && error === undefined && ["create", "faulted", "swap"].includes(why)) {
      this.entries.push({ open: [info, version, state], script });
    }
    return { guest, effects: error === undefined ? named(done) : [], error };
  }

  #drop(guest) { this.#script.release?.(guest); }

  #save() { this.#saved = savedBy(this.#guest, this.#script); }

  #info(restored) {
    const members = [...this.members.values()].map(({ session, player, name, connected, spectator }) => ({ session, player, name, connected, spectator }));
    const taken = [...this.#taken];
    const left = this.#rooms - taken.reduce((sum, [, count]) => sum + count, 0);
    const rooms = this.isLobby ? undefined : { left: Math.max(0, left), taken };
    return JSON.stringify({
      id: this.id, kind: this.kind, creator: this.creator, now: this.now, chance: this.#chance(), hashSeed: digest(`hash ${this.id}`).slice(0, 32),
      members, timers: [...this.timers.keys()], requests: [...this.requests.values()].map(({ handler }) => handler), locked: this.locked, rooms, restored, check: this.#check,
    });
  }

  #chance() { return digest(`${this.#secret} ${this.id} ${this.#offset}`); }
}

// ---- Texts ----

/** What a call gave, as a text that can be compared. */
function given({ effects, error }, saved) {
  return JSON.stringify(error === undefined ? { effects, saved } : { error: error.split("\n")[0] });
}

function savedBy(guest, { manifest }) {
  const { saved, threw } = guest.save();
  if (threw !== undefined) throw new Broken("state", `the state cannot be saved: ${threw}`);
  return { version: manifest.stateVersion, state: saved };
}

/** The handler of an event, as its author has it. */
function handlerOf({ tag, val }) {
  switch (tag) {
    case "message": return `messages.${val.type}`;
    case "timer": return `timers.${val.name}`;
    case "answer": return `answers.${val.handler}`;
    default: return HANDLERS[tag];
  }
}

const HANDLERS = {
  create: "onCreate", join: "onJoin", drop: "onDrop", reconnect: "onReconnect", leave: "onLeave", "room-message": "onRoomMessage",
  "room-end": "onRoomEnd", "move-failed": "onMoveFailed", dispose: "onDispose", identify: "onUpgrade", erase: "onErase",
};

function what(event) { return handlerOf(event); }

function cut(text) { return text.length > 600 ? `${text.slice(0, 600)}…` : text; }

function keep(list, item) {
  list.push(item);
  if (list.length > KEPT) list.shift();
}

export function digest(text) { return createHash("sha256").update(text).digest("hex"); }
export const roomNamed = (name) => digest(`room ${name}`).slice(0, 32);
export const sessionNamed = (name) => digest(`session ${name}`).slice(0, 32);

/**
 * Has a new instance handle the entries of a room (`record`) again. Throws `Broken` where it gives something else than at first. Returns
 * the polls that each entry has used. `instance`: makes instances that are used once.
 */
export function replay(entries, { instance } = {}) {
  const used = [];
  let guest, script;
  const drop = () => { if (guest !== undefined && instance === undefined) script.release?.(guest); };
  for (const entry of entries) {
    if (entry.open !== undefined) {
      drop();
      script = entry.script;
      guest = instance?.() ?? script.instance({ now: JSON.parse(entry.open[0]).now });
      guest.open(...entry.open);
    } else if (!entry.isLost) {
      replayOne(entry, guest, script);
    }
    used.push(guest.used);
  }
  drop();
  return used;
}

function replayOne({ handle, gave }, guest, script) {
  const { done, threw, log, exhausted } = guest.handle(...handle);
  const effects = named(done ?? log ?? exhausted).filter(({ tag, val }) => tag !== "log" || !val.text.startsWith(MODULE_STATE));
  const error = threw ?? (exhausted && "exhausted");
  const again = given({ effects, error }, error === undefined ? savedBy(guest, script).state : undefined);
  if (again !== gave) throw new Broken("replay", `a replay does not do the same in "${handle[1]}"\n  at first: ${cut(gave)}\n  replayed: ${cut(again)}`);
}
