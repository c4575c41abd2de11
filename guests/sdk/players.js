// The members of a room, as its script sees them.

import { call, emit, messageType, PART } from "./call.js";
import { named, toJson, toParcel, toText } from "./json.js";
import * as primordials from "./primordials.js";

/** The room that every session joins first. */
export const LOBBY = "00000000000000000000000000010bb7";

/** A room's or a session's. */
const ID = primordials.pattern(/^[0-9a-f]{32}$/);

/** A room's id, checked; `"lobby"` is one. */
export function roomId(room, what) {
  const id = room === "lobby" ? LOBBY : toText(room, `${what}: the room`);
  if (!primordials.test(ID, id)) {
    throw new primordials.TypeError(`${what}: ${primordials.stringify(id)} is not a room's id; take one from this.rooms.create, or "lobby"`);
  }
  return id;
}

/** Operations on players for the SDK, which a script cannot reach. */
export let inner;

/** The members, by session, in the order of joining. */
export const bySession = primordials.ownMap();

/** The length of all members' data in the saved room, in units of UTF-16. */
export let dataLength = 0;

/** With its key, in quotes, a colon and a comma. */
function lengthOf(text) { return text === "{}" ? 0 : text.length + 36; }

export function addPlayer(player) {
  bySession.set(player.session, player);
  dataLength += lengthOf(inner.text(player));
}

export function removePlayer(player) {
  bySession.delete(player.session);
  dataLength -= lengthOf(inner.text(player));
}

export class Player {
  #member;
  #text;
  #live;

  constructor(member, text) {
    this.#member = member;
    this.#text = text;
    // What a script would put here would be lost; see `guard`.
    primordials.preventExtensions(this);
  }

  get id() { return this.#member.player; }
  get session() { return this.#member.session; }
  get name() { return this.#member.name; }
  get connected() { return this.#member.connected; }
  get spectator() { return this.#member.spectator; }

  /** Parsed again in each call that reads it, so that a restored room sees the same. */
  get data() {
    if (this.#live === undefined) {
      this.#live = { value: primordials.parse(this.#text) };
      touched[touched.length] = this;
      call.touched = true;
    }
    return this.#live.value;
  }

  set data(value) {
    void this.data;
    this.#live.value = value;
  }

  send(type, data) {
    const checked = messageType(type, "player.send: the type");
    emit("send" + PART + this.session + PART + checked + PART + toJson(data, "player.send: the data of", checked), "player.send");
  }

  moveTo(room, options) {
    const target = roomId(room, "player.moveTo");
    emit("move-to" + PART + this.session + PART + target + PART + toParcel(options ?? {}, "player.moveTo: the options"), "player.moveTo");
  }

  kick(reason = "kicked") {
    emit("kick" + PART + this.session + PART + toText(reason, "player.kick: the reason"), "player.kick");
  }

  toJSON() {
    throw new primordials.TypeError("a player is not plain data: keep player.id or player.session");
  }

  static {
    inner = {
      setConnected(player, connected) { player.#member.connected = connected; },
      setSpectator(player, spectator) { player.#member.spectator = spectator; },
      text: (player) => player.#text,
      /** Stores `data` as text. Returns whether that changed the text. */
      commit(player) {
        const text = toJson(player.#live.value, "player.data");
        const changed = text !== player.#text;
        // A player that has left is not saved.
        if (changed && bySession.has(player.session)) dataLength += lengthOf(text) - lengthOf(player.#text);
        player.#text = text;
        player.#live = undefined;
        return changed;
      },
      discard(player) { player.#live = undefined; },
    };
  }
}

/** Players whose data this call has read or set. */
export let touched = [];

export function commitData() {
  let changed = false;
  for (let i = 0; i < touched.length; i++) changed = inner.commit(touched[i]) || changed;
  touched = [];
  return changed;
}

export function discardData() {
  for (let i = 0; i < touched.length; i++) inner.discard(touched[i]);
  touched = [];
}

/** The members, as a script sees them. Iterating gives the players. */
export class Players {
  get size() { return primordials.mapSize(bySession); }
  get(session) { return bySession.get(session); }
  has(session) { return bySession.has(session); }

  /** The seats of one identity: a player with two tabs has two sessions. */
  of(id) {
    const seats = [];
    bySession.forEach((player) => { if (player.id === id) seats[seats.length] = player; });
    return seats;
  }

  forEach(visit) {
    bySession.forEach((player, session) => visit(player, session, this));
  }

  filter(test) {
    const found = [];
    bySession.forEach((player) => { if (test(player)) found[found.length] = player; });
    return found;
  }

  *[Symbol.iterator]() {
    const all = this.filter(() => true);
    for (let i = 0; i < all.length; i++) yield all[i];
  }

  values() { return this[Symbol.iterator](); }
}

/** The sessions that a broadcast excludes, as parts. `except` is a player, a session, or a list of them. */
export function exceptOf(options) {
  if (options === undefined || options === null) return "";
  if (typeof options !== "object") throw new primordials.TypeError(`broadcast: the options must be an object, { except }, not ${named(options)}`);
  const given = primordials.keys(options);
  for (let i = 0; i < given.length; i++) {
    if (given[i] !== "except") throw new primordials.TypeError(`broadcast: the options have no ${primordials.stringify(given[i])}; there is: except`);
  }
  const { except } = options;
  if (except === undefined || except === null) return "";
  const list = primordials.isArray(except) ? except : [except];
  let sessions = "";
  for (let i = 0; i < list.length; i++) sessions += PART + sessionOf(list[i]);
  return sessions;
}

function sessionOf(one) {
  if (one instanceof Player) return one.session;
  if (typeof one === "string" && primordials.test(ID, one)) return one;
  const given = typeof one === "string" ? primordials.stringify(one) : named(one);
  throw new primordials.TypeError(`broadcast: except takes players, and sessions as 32 hexadecimal digits, not ${given}`);
}

/** Placed behind a class's last prototype: reached only by an assignment to a property that its objects do not have. */
function guard(Class, what, instead) {
  const refuse = (name) => { throw new primordials.TypeError(`${what}.${primordials.String(name)} cannot be set: it would be lost; ${instead}`); };
  unsettable(Class.prototype, refuse);
  primordials.setPrototypeOf(Class.prototype, new primordials.Proxy(primordials.objectPrototype, { set: (_, name) => refuse(name) }));
  primordials.freeze(Class.prototype);
}

/** Gives each getter without a setter one that refuses. */
export function unsettable(object, refuse) {
  const names = primordials.ownKeys(object);
  for (let i = 0; i < names.length; i++) {
    const known = primordials.getOwnPropertyDescriptor(object, names[i]);
    if (known.get === undefined || known.set !== undefined) continue;
    known.set = () => refuse(names[i]);
    primordials.defineProperty(object, names[i], known);
  }
}

guard(Player, "player", "keep it in player.data, or in this.state under player.id");
guard(Players, "this.players", "keep it in this.state");
