// Tokens of accounts, and guests that last.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { FakeServer, GAME, event, room } from "./fake.js";

/** What a promise of the client's does. */
const settled = async () => {
  for (let n = 0; n < 10; n++) await Promise.resolve();
};

describe("an account", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
  afterEach(() => mock.timers.reset());

  /** A client whose tokens are numbered. */
  function signedIn(options = {}) {
    const server = new FakeServer();
    let calls = 0;
    const client = server.client({ getToken: async () => `token-${++calls}`, ...options });
    client.connect();
    return { server, client, calls: () => calls };
  }

  async function welcomed(options) {
    const story = signedIn(options);
    story.server.socket.onopen({});
    await settled();
    story.server.send({ t: "welcome", session: "s1", resume: "r1", recovered: false });
    story.server.send(room(GAME, 1));
    return story;
  }

  test("sends hello with the token that getToken gives", async () => {
    const { server } = await welcomed();
    assert.deepEqual(server.received, [{ t: "hello", token: "token-1" }]);
  });

  test("is a guest where getToken gives none", async () => {
    const { server } = await welcomed({ getToken: () => null, name: "Ana" });
    assert.deepEqual(server.received, [{ t: "hello", name: "Ana" }]);
  });

  test("renews its token while frames go on", async () => {
    const { server, client } = await welcomed();
    const seen = [];
    client.room.onEvent((type) => seen.push(type));
    client.on("renewed", () => seen.push("renewed"));
    server.send({ t: "expiring", inMs: 60_000 }, event(GAME, 2, "a"));
    await settled();
    assert.deepEqual(server.received[1], { t: "renew", token: "token-2" });
    server.send(event(GAME, 3, "b"), { t: "renewed" }, event(GAME, 4, "c"));
    assert.deepEqual(seen, ["a", "b", "renewed", "c"]);
    assert.equal(client.gaps, 0);
    server.drop();
    mock.timers.tick(0);
    server.socket.onopen({});
    assert.equal(server.received[0].token, "token-2", "the latest one comes with the next hello");
  });

  test("fetches a token again when getToken has failed, or the server could not check the token", async () => {
    let calls = 0;
    const { server, client } = await welcomed({ getToken: async () => {
      if (++calls === 2) throw new Error("away");
      return "token";
    } });
    server.send({ t: "expiring", inMs: 60_000 });
    await settled();
    assert.equal(client.emitted.at(-1)[1].code, "no_token");
    mock.timers.tick(2_000);
    await settled();
    assert.deepEqual(server.received[1], { t: "renew", token: "token" });
    server.send({ t: "error", code: "unavailable", message: "no keys", retryAfterMs: 500 });
    mock.timers.tick(500);
    assert.deepEqual(server.received[2], { t: "renew", token: "token" });
  });

  test("comes again with another token after 4501, once", async () => {
    const { server, client } = await welcomed();
    server.drop(4501, "the token has expired");
    assert.equal(client.state, "waiting");
    mock.timers.tick(0);
    server.socket.onopen({});
    await settled();
    assert.deepEqual(server.received, [{ t: "hello", token: "token-2", resume: "r1", last: { [GAME]: 1 } }]);
    server.drop(4501, "not yours");
    assert.equal(client.state, "closed");
  });

  test("with a token of its own ends with it, or renews it itself", async () => {
    const { server, client } = await welcomed({ getToken: undefined, token: "mine" });
    assert.deepEqual(server.received[0], { t: "hello", token: "mine" });
    client.on("expiring", ({ inMs }) => client.renew(`next ${inMs}`));
    server.send({ t: "expiring", inMs: 5 });
    assert.deepEqual(server.received[1], { t: "renew", token: "next 5" });
    assert.throws(() => client.renew(5), TypeError);
    server.drop(4501, "another player's");
    assert.equal(client.state, "closed");
  });
});

/** Locks and storage of one browser, for several tabs. */
class Browser {
  stored = new Map();
  clients = [];
  #held = new Set();

  storage = {
    getItem: (name) => this.stored.get(name) ?? null,
    setItem: (name, value) => this.stored.set(name, value),
    removeItem: (name) => this.stored.delete(name),
  };

  locks = {
    request: (name, { signal }, granted) => {
      if (!this.#held.has(name)) return (this.#held.add(name), Promise.resolve(granted({ name })));
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("late", "AbortError"))));
    },
  };

  /** The tabs are closed. */
  close() {
    this.#held.clear();
    for (const client of this.clients) client.close();
  }

  /** A tab that has connected: its server, whose welcome names this guest. */
  async tab(guest, options = {}) {
    const server = new FakeServer();
    globalThis.localStorage = this.storage;
    const client = server.client({ locks: this.locks, storage: { getItem: () => null, setItem() {} }, ...options });
    this.clients.push(client);
    client.connect();
    while (server.sockets.length === 0) await new Promise((done) => setTimeout(done, 5));
    server.accept({ guest });
    return { server, client, hello: server.received[0] };
  }
}

describe("a guest", () => {
  const had = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
  let browser;
  beforeEach(() => (browser = new Browser()));
  afterEach(() => browser.close());
  beforeEach(() => Object.defineProperty(globalThis, "localStorage", { value: undefined, writable: true, configurable: true }));
  afterEach(() => had && Object.defineProperty(globalThis, "localStorage", had));

  test("is the same one in the browser's first tab, and another one in further tabs", async () => {
    const first = await browser.tab("guest-1");
    assert.deepEqual(first.hello, { t: "hello" });
    const second = await browser.tab("guest-2");
    assert.deepEqual(second.hello, { t: "hello" });
    browser.close();
    const later = await browser.tab("guest-1");
    assert.deepEqual(later.hello, { t: "hello", guest: "guest-1" });
    assert.deepEqual([...browser.stored.values()], ["guest-1"]);
  });

  test("stays the same one in its tab when its session is forgotten", async () => {
    await browser.tab("guest-1");
    const second = await browser.tab("guest-2");
    second.client.close();
    second.client.forget("Ben");
    second.client.connect();
    second.server.accept({ guest: "guest-2" });
    assert.deepEqual(second.server.received[0], { t: "hello", name: "Ben", guest: "guest-2" });
  });

  test("that signs in sends both, and is no guest from then on", async () => {
    await browser.tab("guest-1");
    browser.close();
    const signed = await browser.tab(undefined, { token: "mine" });
    assert.deepEqual(signed.hello, { t: "hello", token: "mine", guest: "guest-1" });
    assert.equal(browser.stored.size, 0);
  });

  test("is another one when its token is not valid any more", async () => {
    await browser.tab("guest-1");
    browser.close();
    await browser.tab("guest-2");
    assert.deepEqual([...browser.stored.values()], ["guest-2"]);
  });
});
