// A lobby with thousands of virtual clients, and the rooms that it sends them to: a host of the tests that does only what a lobby
// needs. Unlike in story.mjs, events are handled once, since a restore for each would take as long as there are members; whether a
// restored lobby is the same is checked at the end, by `restored`.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const LOBBY = "00000000000000000000000000010bb7";
const digest = (text) => createHash("sha256").update(text).digest("hex");

export class Crowd {
  now = 1_700_000_000_000;
  /** The moves that are under way, as `{ player, room, note }`; the players in each room, and its spectators; the lobby's answers, by player. */
  moves = [];
  rooms = new Map();
  watchers = new Map();
  replies = new Map();
  failures = [];
  created = 0;
  #guest; #script; #capacity; #refuses; #records = 0;
  #clock = { now: this.now };

  /**
   * `capacity`: of each room, where the next one is a spectator. `refuses`: whether a room refuses this player. `change`: of the state of
   * a new lobby, which the crowd finds.
   */
  constructor(script, { capacity = Infinity, refuses = () => false, change } = {}) {
    this.#script = script;
    this.#capacity = capacity;
    this.#refuses = refuses;
    this.#guest = script.instance(this.#clock);
    this.#guest.open(this.#info(), 0, "");
    this.#handle("create", "{}");
    if (change === undefined) return;
    const { state } = this;
    change(state);
    this.#guest = script.instance(this.#clock);
    this.#guest.open(this.#info("recovered"), this.#guest.describe().stateVersion, JSON.stringify({ state }));
  }

  get saved() { return this.#guest.save().saved; }
  get state() { return JSON.parse(this.saved).state; }

  join(player, id = player) {
    const session = sessionOf(player);
    this.#players.set(session, player);
    this.#handle("join", session, { session, player: id, name: player, connected: true, spectator: false }, "", "{}");
  }
  #players = new Map();

  leave(player, reason = "timed-out") { this.#handle("leave", sessionOf(player), reason); }

  /** The lobby's answer. */
  message(player, type, data) {
    this.#handle("message", sessionOf(player), type, JSON.stringify(data ?? null));
    return this.replies.get(player);
  }

  report(room, lobby) { this.#handle("room-message", room, JSON.stringify({ lobby })); }
  end(room) { this.rooms.delete(room); this.#handle("room-end", room, "", "null"); }

  /** Ends a move as the SDK does: the player has a seat, or is a spectator, which one that means to play is not; or the room refuses it. */
  arrive(move) {
    this.moves.splice(this.moves.indexOf(move), 1);
    const { player, room, note } = move, isFull = this.rooms.get(room).size >= this.#capacity;
    if (this.#refuses(player, room)) return this.#handle("move-failed", sessionOf(player), room, "not you");
    if (isFull && note === "play") return this.#handle("move-failed", sessionOf(player), room, "the room is full");
    (isFull ? this.watchers : this.rooms).get(room).add(player);
    this.leave(player, "moved");
    if (isFull && note !== undefined) this.report(room, { freed: 1 });
  }

  /** The first spectator of the room takes a seat, if one is free; the first player gives one up; the first of either leaves. */
  sit(room) {
    if (this.rooms.get(room).size < this.#capacity && pass(this.watchers.get(room), this.rooms.get(room))) this.report(room, { freed: -1 });
  }
  stand(room) { if (pass(this.rooms.get(room), this.watchers.get(room))) this.report(room, { freed: 1 }); }
  playerLeaves(room) { if (pass(this.rooms.get(room))) this.report(room, { freed: 1 }); }
  watcherLeaves(room) { pass(this.watchers.get(room)); }

  /** The lobby's state in a new instance equals that of this one. */
  assertRestored() {
    const guest = this.#script.instance(this.#clock), saved = this.saved;
    guest.open(this.#info("recovered"), guest.describe().stateVersion, saved);
    assert.equal(guest.save().saved, saved);
  }

  #info(restored) {
    const members = [...this.#players].map(([session, name]) => ({ session, player: name, name, connected: true, spectator: false }));
    return JSON.stringify({ id: LOBBY, kind: "lobby", now: this.now, chance: this.#chance(), members: restored ? members : [], timers: [], locked: false, restored });
  }

  #chance() { return digest(`lobby ${this.#records}`); }

  #handle(tag, ...fields) {
    this.#records += 1;
    this.#clock.now = this.now;
    const chance = this.#chance();
    const { done, threw } = this.#guest.handle({ now: this.now, chance }, tag, ...fields);
    assert.equal(threw, undefined, `${tag}: ${threw}`);
    if (tag === "leave") this.#players.delete(fields[0]);
    for (const effect of done) this.#apply(effect, chance, fields);
  }

  #apply([name, ...fields], chance, [asking]) {
    const player = this.#players.get(asking);
    if (name === "create-room") {
      // As a host computes it; one for each record.
      this.rooms.set(chance.slice(32), new Set());
      this.watchers.set(chance.slice(32), new Set());
      this.created += 1;
    } else if (name === "move-to") {
      this.moves.push({ player: this.#players.get(fields[0]), room: fields[1], note: JSON.parse(fields[2])["@lobby"] });
    } else if (name === "reply") {
      this.replies.set(player, JSON.parse(fields[0]));
    } else if (name === "refuse") {
      this.replies.set(player, { refused: fields[0] });
    } else if (name === "send" && fields[1] === "failed") {
      this.failures.push({ player: this.#players.get(fields[0]), ...JSON.parse(fields[2]) });
    }
  }
}

/** The first of one set goes to the other, or away. Returns whether there was one. */
function pass(from, to) {
  const [first] = from;
  return first !== undefined && from.delete(first) && (to?.add(first), true);
}

function sessionOf(player) { return digest(`session ${player}`).slice(0, 32); }

/** Numbers from 0 to below `n`, the same for the same seed. */
export function dice(seed) {
  let state = seed >>> 0 || 1;
  return (n) => {
    state ^= state << 13; state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5; state >>>= 0;
    return state % n;
  };
}
