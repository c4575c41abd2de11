// Invariants: what must be true of a room after each event. An author declares them with `play`; they hold in stories too.

import { createHash } from "node:crypto";

import { Broken } from "./virtual-room.mjs";

const byKind = new Map();

export function declareInvariants(kind, invariants) { byKind.set(kind, Object.entries(invariants)); }
export function invariantsOf(kind) { return byKind.get(kind) ?? []; }

/** The id of the guest of this name. */
export function guestId(name) { return `g:${createHash("sha256").update(`guest ${name}`).digest("hex").slice(0, 32)}`; }

/** A room at one time, for an invariant: plain copies, so that one may be compared with a later one. */
export class Snapshot {
  #room; #saved; #members; #timers;

  constructor(room) {
    this.#room = room;
    this.#saved = room.savedText;
    this.#members = [...room.members.values()].map(({ session, player: id, name, connected, spectator, view = room.sharedView }) => {
      return { session, id, name, connected, spectator, view };
    });
    this.#timers = [...room.timers];
    this.now = room.now;
    this.metadata = room.metadata;
    this.locked = room.locked;
    this.ended = room.ended !== undefined;
    this.outcome = room.ended?.outcome;
  }

  #parsed;
  get #json() { return (this.#parsed ??= JSON.parse(this.#saved)); }
  get kind() { return this.#room.kind; }
  get state() { return this.#json.state; }
  /** `{ session, id, name, connected, spectator, data, view }` of each member, in the order of joining. */
  get members() { return this.#members.map((member) => ({ ...member, data: this.#json.data?.[member.session] ?? {} })); }
  /** By name: `{ due, payload }`. */
  get timers() { return Object.fromEntries(this.#timers.map(([name, { due, payload }]) => [name, { due, payload: JSON.parse(payload) }])); }
}

/** Checks all invariants; returns the snapshot, for the next time. Throws `Broken` with the invariant's name. */
export function holdInvariants(invariants, now, before) {
  for (const [name, holds] of invariants) {
    let verdict;
    try {
      verdict = holds(now, before);
    } catch (error) {
      throw new Broken(`invariant: ${name}`, `"${name}" does not hold: ${String(error?.message ?? error).trim()}${placeOf(error)}`, error);
    }
    if (verdict === false) throw new Broken(`invariant: ${name}`, `"${name}" does not hold: it returned false`);
  }
  return now;
}

/** The author's line that has thrown. */
function placeOf(error) {
  const frames = String(error?.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const own = frames.find((line) => !line.includes("node:") && !line.includes("/node_modules/") && !line.includes(import.meta.url.replace(/invariants\.mjs.*$/, "")));
  return own === undefined ? "" : `\n${own.replace("file://", "")}`;
}
