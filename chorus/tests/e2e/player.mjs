/** Players for stories: real clients over real sockets, which wait for states and events, never for a fixed time. */

import assert from "node:assert/strict";

import { Chorus } from "../../../clients/js/chorus.js";
import { rotatingSocket } from "../sockets.mjs";

/** The deadline of every wait. */
export const WAIT_MS = 20_000;
const CLIENT = { storage: null, retry: { baseMs: 20, maxMs: 200 }, stableMs: 100 };

export class Player {
  /** All received frames, and all events of rooms, oldest first. */
  frames = [];
  events = [];
  /** The number of connections to the server, and whether new sockets fail instead. */
  connections = 0;
  #offline = false;
  #socket = null;
  #changed = () => {};
  /** How many events of each type `receives` has waited for. */
  #received = new Map();

  /** Several addresses are tried in turn, as a load balancer would send connections to one edge after the other. */
  constructor(name, urls) {
    this.name = name;
    const addresses = [urls].flat();
    const opened = (socket, url) => ([this.#socket, this.url] = [socket, url]);
    const Socket = rotatingSocket(addresses, opened, { isOffline: () => this.#offline });
    this.client = new Chorus(`${addresses[0]}/ws`, { name, WebSocket: Socket, ...CLIENT });
    this.client.on("frame", ({ out, frame }) => out || this.#take(frame));
    this.client.on("connected", () => (this.connections += 1));
    for (const what of ["connected", "disconnected", "reset", "error"]) {
      this.client.on(what, (details) => this.#note({ what, details }));
    }
  }

  static join(name, url) {
    return new Player(name, url).arrive();
  }

  /** Connects. Resolves when the player is in the lobby. */
  async arrive() {
    this.client.connect();
    await this.in("lobby");
    await this.receives("welcome");
    return this;
  }

  get view() {
    return this.client.room?.view;
  }

  // ---- actions ----

  /** Resolves with the reply. A missing reply fails the story. */
  async send(type, data) {
    let late;
    const never = new Promise((_, reject) => {
      late = setTimeout(() => reject(this.#timeout(`an answer to ${type}`)), WAIT_MS);
    });
    return Promise.race([this.client.send(type, data), never]).finally(() => clearTimeout(late));
  }

  find() {
    return this.send("joinOrCreate", { kind: "tic-tac-toe" });
  }

  move(cell) {
    return this.send("move", { cell });
  }

  /** Breaks the connection. New connections fail until `goOnline`. */
  goOffline() {
    this.#offline = true;
    this.#socket.terminate();
  }

  goOnline() {
    this.#offline = false;
  }

  /** Disconnects, and leaves nothing behind that could affect another story. */
  async leave() {
    if (this.client.state === "connected" && this.client.room?.kind === "lobby") await this.send("cancel").catch(() => {});
    this.client.close();
  }

  // ---- waiting ----

  /** Resolves with the first truthy result of `condition`, which is evaluated after every frame. */
  async until(what, condition) {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const found = condition();
      if (found) return found;
      const left = deadline - Date.now();
      if (left <= 0) throw this.#timeout(what);
      await this.#change(left);
    }
  }

  /** Resolves when the current room is of this kind, with its view. */
  in(kind) {
    return this.until(`a ${kind}`, () => this.client.room?.kind === kind && this.client.room);
  }

  /** Resolves with the next event of this type. Each call waits for a later event. */
  async receives(type) {
    const before = this.#received.get(type) ?? 0;
    this.#received.set(type, before + 1);
    return this.until(`the event ${type}`, () => this.events.filter((event) => event.type === type)[before]).then(({ data }) => data);
  }

  sees(what, condition) {
    return this.until(`${what}`, () => this.view && condition(this.view) && this.view);
  }

  resumed(times) {
    return this.until(`its ${times}. resume`, () => this.client.resumes >= times && this.client.state === "connected");
  }

  #change(ms) {
    return new Promise((resolve) => {
      const late = setTimeout(resolve, ms);
      this.#changed = () => (clearTimeout(late), resolve());
    });
  }

  #take(frame) {
    this.frames.push(frame);
    if (frame.t === "event") this.events.push(frame);
    this.#note();
  }

  #note(note) {
    if (note) this.frames.push(note);
    // Runs after the client has handled the frame.
    queueMicrotask(() => this.#changed());
  }

  #timeout(what) {
    const { state, room } = this.client;
    const last = this.frames.slice(-12).map((frame) => `  ${JSON.stringify(frame)}`);
    const now = `it is ${state}, in ${room?.kind}, with ${JSON.stringify(this.view)}; the last that came:`;
    return new Error([`${this.name} waited in vain for ${what}; ${now}`, ...last].join("\n"));
  }

  // ---- checks ----

  /** Checks that every frame of every room arrived once and in order, over all connections. */
  assertGapFree() {
    assert.deepEqual([this.client.gaps, this.client.duplicates], [0, 0], `${this.name}: [gaps, duplicates]`);
    const last = new Map();
    for (const { t, room, seq } of this.frames) {
      if (seq === undefined) continue;
      const continues = seq === (last.get(room) ?? 0) + 1 || (t === "room" && seq > last.get(room)) || (t === "room" && !last.has(room));
      assert.ok(continues, `${this.name}: ${t} ${seq} after ${last.get(room)} of room ${room}`);
      last.set(room, seq);
    }
  }
}

/** Brings two players into a game. Resolves with `[first, second]` in the order of moving. */
export async function pair(one, other) {
  await one.find();
  await other.find();
  await Promise.all([one.in("tic-tac-toe"), other.in("tic-tac-toe")]);
  return byTurn(one, other);
}

/** The two players, the one on turn first. */
export function byTurn(one, other) {
  const { turn, you } = one.view;
  return turn === you ? [one, other] : [other, one];
}

/** Plays the cells in turn. Both players see each move before the next is made. */
export async function play([first, second], cells) {
  for (const [n, cell] of cells.entries()) {
    const mover = n % 2 === 0 ? first : second;
    assert.deepEqual(await mover.move(cell), {}, `move ${n}, to ${cell}`);
    for (const player of [first, second]) await player.sees(`a mark on ${cell}`, ({ board }) => board[cell] !== null);
  }
}

export const FIRST_WINS = [0, 3, 1, 4, 2];
export const DRAW = [0, 1, 2, 4, 3, 5, 7, 6, 8];
