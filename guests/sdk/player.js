// A member of a room, and the list of them.

import { call } from "./call.js";
import { addClaims } from "./claims.js";
import { toJson } from "./json.js";
import { addMethods, methods } from "./methods.js";
import * as primordials from "./primordials.js";

/** Operations on players for the SDK, which a script cannot reach. */
export let inner;

/** The members, by session, in the order of joining. */
export const bySession = primordials.ownMap();

export function memberCount() { return primordials.mapSize(bySession); }

let players = 0;
/** The members that are no spectators. */
export function playerCount() { return players; }

/** The length of all members' data in the saved room, in units of UTF-16. */
export let dataLength = 0;

/** With its key, in quotes, a colon and a comma. */
function lengthOf(text) { return text === "{}" ? 0 : text.length + 36; }

export function addPlayer(player) {
  bySession.set(player.session, player);
  dataLength += lengthOf(inner.text(player));
  if (!player.spectator) players += 1;
}

export function removePlayer(player) {
  bySession.delete(player.session);
  dataLength -= lengthOf(inner.text(player));
  if (!player.spectator) players -= 1;
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

  static {
    inner = {
      setConnected(player, connected) { player.#member.connected = connected; },
      setSpectator(player, spectator) { player.#member.spectator = spectator; },
      setIdentity(player, id, name) {
        player.#member.player = id;
        player.#member.name = name;
      },
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

addMethods(Player, methods);
addClaims(Player);

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

/** The members that the current call has made players or spectators, and what each was. */
let roleChanges = [];

export function rolesChanged() { return roleChanges.length > 0; }

export function setRole(player, spectator) {
  roleChanges[roleChanges.length] = { player, was: player.spectator };
  call.touched = true;
  assignRole(player, spectator);
}

function assignRole(player, spectator) {
  players += player.spectator - spectator;
  inner.setSpectator(player, spectator);
}

export function beginRoles() { roleChanges = []; }

/** Undoes what the current call has changed. */
export function undoRoles() {
  for (let i = roleChanges.length - 1; i >= 0; i--) assignRole(roleChanges[i].player, roleChanges[i].was);
  roleChanges = [];
}
