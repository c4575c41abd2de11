// A room and its players as a test drives them. Each action resolves when the room is done with it, and rejects if the room refuses it
// or fails in it; the invariants of
// the room's kind (`play`) are checked after each event.

import { Broken, RoomError, sessionNamed, VirtualRoom } from "./virtual-room.mjs";
import { Growth } from "./growth.mjs";
import { rest } from "./rest.mjs";
import { guestId, holdInvariants, invariantsOf, Snapshot } from "./invariants.mjs";
import { componentOf } from "./project.mjs";
import { noteView } from "./view-sizes.mjs";

/** Of many repetitions, the first are replayed. */
const REPLAYED = 16;

/**
 * Creates a room. `kind`: of the project, or the path or URL of a room's file. `options` are those of `onCreate`. Rejects if `onCreate`
 * fails.
 */
export async function createRoom(kind, options = {}, settings = {}) {
  return TestRoom.create(await componentOf(kind), options, settings);
}

export class TestRoom {
  #room; #players = new Map(); #before; #guests = 0; #replay;

  constructor(component, { id, creator, seed = "", replay = true, rooms, find } = {}) {
    this.#room = new VirtualRoom(component, { id, creator, secret: String(seed), replay, rooms, find });
    this.#replay = replay;
    this.#room.onEvent = () => { this.#before = holdInvariants(invariantsOf(this.kind), new Snapshot(this.#room), this.#before); };
  }

  static async create(component, options = {}, settings = {}) {
    const room = new TestRoom(component, settings);
    await room.#act(() => room.#room.create(options));
    return room;
  }

  get id() { return this.#room.id; }
  get kind() { return this.#room.kind; }
  /** Milliseconds since 1970, in virtual time. */
  get now() { return this.#room.now; }
  /** `this.state` of the room, as it is stored: a copy. */
  get state() { return this.#room.state; }
  /** The players in the room, connected and held, in the order of joining. */
  get members() { return [...this.#room.members.keys()].map((session) => this.#players.get(session)); }
  /** The pending timers, by name: `{ due, payload }`. */
  get timers() { return timersOf(this.#room); }
  get metadata() { return this.#room.metadata; }
  get locked() { return this.#room.locked; }
  /** The lines of the room's log: `{ level, text }`. */
  get log() { return [...this.#room.log]; }
  /** The rooms that it has created: `{ room, kind, options, ended }`. */
  get created() { return [...this.#room.created]; }
  /** The latest call of the script: `{ handler, fuel, limit, share }`, in the units of the budgets `fuelPerMessage` and `fuelPerRecord`. */
  get lastCall() {
    const { handler, fuel, limit, share } = this.#room.lastCall ?? {};
    return handler === undefined ? undefined : { handler, fuel, limit, share };
  }
  /** What it has sent to other rooms: `{ room, data }`. */
  get sent() { return [...this.#room.sent]; }
  /** The sessions that it has kicked: `{ session, reason }`. */
  get kicked() { return [...this.#room.kicked]; }
  get ended() { return this.#room.ended !== undefined; }
  /** What the room has ended with; undefined before. */
  get outcome() { return this.#room.ended?.outcome; }
  /** Why it has ended, if it has failed. */
  get failed() { return this.#room.ended?.failed; }

  /**
   * A player joins: a name, or `{ name, id, claims, options, from }`. Without a name it is somebody new. Another join under the same id
   * (by default that of the name) is a second session of the same player. Rejects with the code `refused`.
   */
  async join(given = {}) {
    const { name = `Guest ${++this.#guests}`, id = guestId(name), ...more } = typeof given === "string" ? { name: given } : given;
    let session;
    for (let tab = 1; session === undefined || this.#players.has(session); tab++) session = sessionNamed(`${id} ${tab}`);
    const player = new TestPlayer((action) => this.#act(action), this.#room, { session, name, id });
    this.#players.set(session, player);
    try {
      await player.join(more);
    } catch (error) {
      if (!this.#room.members.has(session)) this.#players.delete(session);
      throw error;
    }
    return player;
  }

  /** The searches that have no answer yet, the oldest first: `{ kind, where, handler, data }`. */
  get finds() {
    return [...this.#room.requests.values()].map(({ kind, where, handler, payload }) => ({ kind, where, handler, data: JSON.parse(payload) }));
  }
  /** The oldest search is answered: `{ rooms, truncated?, asOf? }`, or `{ error }`. */
  answer(found) {
    return this.#act(() => {
      const [number] = this.#room.requests.keys();
      if (number === undefined) throw new Error("the room looks for nothing: rooms.find was not called, or has its answer");
      this.#room.answer(number, found);
    });
  }

  /** Lets time pass, in milliseconds: timers fire, and held seats expire. */
  advance(ms) { return this.#act(() => this.#room.advance(ms)); }
  /** The server is killed: the room is restored from its records. */
  restore() { return this.#act(() => this.#room.crash()); }
  /** The server is gone for so many milliseconds, and the room is restored then. */
  outage(ms) { return this.#act(() => this.#room.outage(ms)); }
  /** The room hibernates until its next event. */
  sleep() { return this.#act(() => this.#room.sleep()); }

  /** The script is replaced: by the room at this path, or by itself. Rejects with the code `refused` if the new one refuses the state. */
  async swap(kindOrPath) {
    const component = kindOrPath === undefined ? undefined : await componentOf(kindOrPath);
    return this.#act(() => {
      const why = this.#room.swap(component);
      if (why !== undefined) throw new RoomError("refused", `the swap is refused: ${why}`, why);
    });
  }

  /** Another room sends data to this one. */
  receive(room, data) { return this.#act(() => this.#room.roomMessage(room, data)); }
  /** A room that this one has created ends, with an outcome or because it has `failed`. */
  childEnds(room, outcome = null, { failed } = {}) { return this.#act(() => this.#room.childEnded(room, outcome, failed)); }

  /** All players leave, and time passes. Rejects if timers go on in the empty room. */
  rest(options) { return this.#act(() => rest(this.#room, options)); }

  /**
   * Does the same `times` times, with a second between. Rejects if the state or a view grows with each: what is kept for ever must be
   * bounded. `growth: false`: it may grow.
   */
  async repeat(times, action, { growth = true } = {}) {
    const sizes = new Growth(times);
    try {
      for (let i = 0; i < times && !this.ended; i++) {
        await action(i);
        if (!this.ended) await this.advance(1_000);
        sizes.add(this.#room);
        if (i === REPLAYED) this.#room.setReplay(false);
      }
    } finally {
      this.#room.setReplay(this.#replay);
    }
    if (this.ended) return;
    const grown = growth ? sizes.found(this.#room) : undefined;
    if (grown !== undefined) throw new Broken("growth", grown);
  }

  /** Does something to the room, and rejects with the first failure that it has caused. */
  async #act(action) {
    const result = action();
    noteView(this.kind, this.#room.largestView);
    const [failure] = this.#room.failures.splice(0);
    if (failure !== undefined) throw failure;
    return result;
  }
}

export function timersOf(room) {
  return Object.fromEntries([...room.timers].map(([name, { due, payload }]) => [name, { due, payload: JSON.parse(payload) }]));
}

export class TestPlayer {
  #act; #room; #left; #read = 0;

  constructor(act, room, { session, name, id }) {
    this.#act = act;
    this.#room = room;
    this.session = session;
    this.#left = { session, name, player: id, connected: false, spectator: false, events: [] };
  }

  /** As the server knows it; the last it knew once the player is no member any more. */
  get #member() {
    const member = this.#room.members.get(this.session);
    if (member !== undefined) this.#left = member;
    return member ?? this.#left;
  }

  get name() { return this.#member.name; }
  get id() { return this.#member.player; }
  get isMember() { return this.#room.members.has(this.session); }
  get connected() { return this.isMember && this.#member.connected; }
  get spectator() { return this.#member.spectator; }
  /** `player.data` of the script. */
  get data() { return this.#room.saved.data?.[this.session] ?? {}; }
  /** What the player sees of the room's state. */
  get view() { return this.isMember ? this.#room.viewOf(this.session) : this.#left.view; }
  /** All events that the player has received in its stay: `{ type, data }`. */
  get events() { return [...this.#member.events]; }
  /** The move that the room has requested and that has no answer yet: `{ room, options }`. */
  get moving() { return this.#member.moving ? { ...this.#member.moving } : undefined; }

  /** The events since the previous call. */
  received() {
    const { events } = this.#member;
    const fresh = events.slice(this.#read);
    this.#read = events.length;
    return fresh;
  }

  /** Sends a message, and resolves with the reply. Rejects with the code `refused`, `fault`, `too_costly` or `unknown_type`. */
  async send(type, data = null) {
    this.#mustBeMember(`send "${type}"`);
    if (!this.#member.connected) throw new Error(`${this.name} is not connected: \`reconnect\` comes before \`send\``);
    const { reply, refused, unknown } = await this.#act(() => this.#room.message(this.session, type, data));
    if (unknown !== undefined) throw new RoomError("unknown_type", unknown);
    if (refused !== undefined) throw new RoomError("refused", refused);
    return reply;
  }

  /** Joins, or joins again after it has left. */
  async join({ claims, options = null, from } = {}) {
    const { name, player } = this.#left;
    this.#read = 0;
    const refused = await this.#act(() => this.#room.join({ session: this.session, player, name, claims, options, from }));
    if (refused !== undefined) throw new RoomError("refused", refused);
  }

  /** Loses its connection: the seat is held for `reconnectSeconds`. */
  drop() { return this.#doAsMember("drop", () => this.#room.drop(this.session)); }
  reconnect() { return this.#doAsMember("reconnect", () => this.#room.reconnect(this.session)); }
  /** Leaves for good. */
  leave(reason = "left") { return this.#doAsMember("leave", () => this.#room.leave(this.session, reason)); }

  /** Signs in: a guest becomes the player of an account. */
  upgrade(id = `u:${this.name}`, { name = this.name, claims } = {}) {
    return this.#doAsMember("upgrade", () => this.#room.identify(this.session, { player: id, name, claims }));
  }

  /** The room that the player is on its way to has admitted it: it leaves this one. */
  arrive() { return this.#doAsMover("arrive", () => this.#room.arrive(this.session)); }
  /** The room that the player is on its way to has refused it: it stays. */
  refuseMove(reason = "refused") { return this.#doAsMover("refuseMove", () => this.#room.moveFailed(this.session, reason)); }

  #mustBeMember(what) {
    if (!this.isMember) throw new Error(`${this.name} is not in the room, and cannot ${what}`);
  }

  async #doAsMember(what, action) {
    this.#mustBeMember(what);
    await this.#act(action);
  }

  async #doAsMover(what, action) {
    this.#mustBeMember(what);
    if (!this.moving) throw new Error(`${this.name} is on no way to another room: the room has called no moveTo`);
    await this.#act(action);
  }
}
