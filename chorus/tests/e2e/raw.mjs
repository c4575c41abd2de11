/** A WebSocket without the client: a story sends any text over it, and reads the frames that it receives. */

import { once } from "node:events";

import { WebSocket } from "ws";

import { WAIT_MS } from "./player.mjs";

const PROTOCOL = "v1.json.chorus";

export class Raw {
  /** Received frames that were not taken yet. */
  #frames = [];
  #closed = null;
  #changed = () => {};

  /** Resolves when the socket is open; rejects with the HTTP status when it is refused. `localAddress`: of this end. */
  static async connect(url, { headers = {}, protocol = PROTOCOL, localAddress } = {}) {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, protocol, { headers, localAddress });
    const raw = new Raw(socket);
    await Promise.race([once(socket, "open"), once(socket, "unexpected-response").then(([, { statusCode }]) => { throw new Error(`HTTP ${statusCode}`); })]);
    return raw;
  }

  constructor(socket) {
    this.socket = socket;
    socket.on("message", (text) => (this.#frames.push(JSON.parse(text)), this.#changed()));
    socket.on("close", (code, reason) => ((this.#closed = { code, reason: String(reason) }), this.#changed()));
    socket.on("error", () => {}); // `close` follows.
  }

  /** Sends a string unchanged, anything else as JSON. */
  send(frame) {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    return this;
  }

  /** Sends a `hello`, and resolves with the `welcome`. */
  async hello(more = {}) {
    this.send({ t: "hello", ...more });
    return this.frame("welcome");
  }

  /** Starts a session, and resolves when it is in the lobby. */
  async arrive(name = "Raw") {
    const welcome = await this.hello({ name });
    const room = await this.frame("room");
    return { ...welcome, room: room.room };
  }

  /** The next frame of this kind. Frames before it are dropped. */
  frame(kind, fits = () => true) {
    return this.#first(`${kind}`, (frame) => frame.t === kind && fits(frame));
  }

  /** The answer to the message with this id, a reply or an error. */
  answer(id) {
    return this.#first(`answer to ${id}`, (frame) => frame.id === id);
  }

  async #first(what, fits) {
    for (;;) {
      const at = this.#frames.findIndex(fits);
      if (at >= 0) return this.#frames.splice(0, at + 1).at(-1);
      if (this.#closed) throw new Error(`closed with ${this.#closed.code} while waiting for ${what}`);
      await this.#change(what);
    }
  }

  get isClosed() {
    return this.#closed !== null;
  }

  /** Takes all received frames that were not taken yet. */
  take() {
    return this.#frames.splice(0);
  }

  /** Resolves with the next pong; rejects when the connection is closed first. */
  async pong() {
    if (this.#closed) throw new Error(`closed with ${this.#closed.code}`);
    const ended = new AbortController();
    try {
      await Promise.race([once(this.socket, "pong", ended), once(this.socket, "close", ended).then(() => { throw new Error("closed"); })]);
    } finally {
      ended.abort();
    }
  }

  /** Resolves when the connection is closed, with `{ code, reason }`. */
  async closed() {
    while (!this.#closed) await this.#change("the end");
    return this.#closed;
  }

  /** Breaks the connection without a close frame. */
  terminate() {
    this.socket.terminate();
  }

  #change(what) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no ${what} came; there is ${JSON.stringify(this.#frames)}`)), WAIT_MS);
      this.#changed = () => (clearTimeout(late), resolve());
    });
  }
}
