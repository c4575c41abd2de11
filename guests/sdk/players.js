// The members of a room, as its script sees them.

import { ID } from "./ids.js";
import { named } from "./json.js";
import { bySession, memberCount, Player } from "./player.js";
import * as primordials from "./primordials.js";

/** The members, as a script sees them. Iterating gives the players. */
export class Players {
  get size() { return memberCount(); }
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

/** The sessions that a broadcast excludes. `except` is a player, a session, or a list of them. */
export function exceptOf(options) {
  if (options === undefined || options === null) return [];
  if (typeof options !== "object") throw new primordials.TypeError(`broadcast: the options must be an object, { except }, not ${named(options)}`);
  const given = primordials.keys(options);
  for (let i = 0; i < given.length; i++) {
    if (given[i] !== "except") throw new primordials.TypeError(`broadcast: the options have no ${primordials.stringify(given[i])}; there is: except`);
  }
  const { except } = options;
  if (except === undefined || except === null) return [];
  const list = primordials.isArray(except) ? except : [except];
  const sessions = [];
  for (let i = 0; i < list.length; i++) sessions[i] = sessionOf(list[i]);
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
