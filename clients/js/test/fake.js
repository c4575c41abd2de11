/**
 * A server under a test's control: it keeps every socket that the client opens, and the story sends frames over them.
 */

import { Chorus } from "../chorus.js";

export const LOBBY = "000000000000000000000000000010bb7".slice(1);
export const GAME = "a".repeat(32);

class FakeSocket {
  sent = [];
  closed = null;

  constructor(server, url, protocol) {
    Object.assign(this, { url, protocol });
    server.sockets.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code, reason) {
    this.closed = { code, reason };
  }
}

export class FakeServer {
  sockets = [];

  /** A class of sockets to this server. */
  get WebSocket() {
    const server = this;
    return class extends FakeSocket {
      constructor(url, protocol) {
        super(server, url, protocol);
      }
    };
  }

  /** A client of this server, with its events in `emitted`. */
  client({ url = "ws://server/ws", ...options } = {}) {
    const client = new Chorus(url, { WebSocket: this.WebSocket, storage: null, ...options });
    client.emitted = [];
    for (const name of ["connected", "disconnected", "reset", "error"]) {
      client.on(name, (details) => client.emitted.push([name, details]));
    }
    return client;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** The frames that the client has sent over the current connection. */
  get received() {
    return this.socket.sent;
  }

  accept(welcome = {}) {
    this.socket.onopen({});
    this.send({
      t: "welcome",
      session: "s1",
      resume: `token ${this.sockets.length}`,
      recovered: false,
      pingMs: 15000,
      ...welcome,
    });
  }

  send(...frames) {
    for (const frame of frames) this.socket.onmessage({ data: JSON.stringify(frame) });
  }

  drop(code = 1006, reason = "") {
    this.socket.onclose({ code, reason });
  }
}

export const room = (id, seq, view = {}, ack = 0) => ({ t: "room", room: id, kind: "tic-tac-toe", seq, ack, view });
export const event = (id, seq, type, data = null) => ({ t: "event", room: id, seq, type, data });
export const reply = (id, seq, message, data = {}) => ({ t: "reply", room: id, seq, id: message, data });
export const patch = (id, seq, ...ops) => ({ t: "patch", room: id, seq, ops });
export const left = (id, seq, reason = "moved") => ({ t: "left", room: id, seq, reason });

/** A client that is connected and in `GAME`. */
export function seated(options) {
  const server = new FakeServer();
  const client = server.client(options);
  client.connect();
  server.accept();
  server.send(room(GAME, 1, { board: [null, null] }));
  return { server, client };
}

/** Fakes the events of a browser's network and page, until `restore`. */
export class FakePage extends EventTarget {
  #before = { addEventListener: globalThis.addEventListener, document: globalThis.document };
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });

  constructor() {
    super();
    globalThis.addEventListener = (...details) => this.addEventListener(...details);
    globalThis.document = this.document;
  }

  fire(name, details = {}) {
    this.dispatchEvent(Object.assign(new Event(name), details));
  }

  show(visibilityState) {
    this.document.visibilityState = visibilityState;
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  restore() {
    for (const [name, value] of Object.entries(this.#before)) {
      if (value === undefined) delete globalThis[name];
      else globalThis[name] = value;
    }
  }
}

/** `sessionStorage`, of one tab. */
export function tab() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
}
