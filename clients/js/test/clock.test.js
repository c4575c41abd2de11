// Stories of `now()`: the server's time on a device whose clock is wrong.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { FakeServer } from "./fake.js";

const SERVER = Date.UTC(2026, 10, 30, 12);
const SLOW = SERVER - 20_000;

const clock = mock.timers;
beforeEach(() => clock.enable({ apis: ["setTimeout", "Date"], now: SLOW }));
afterEach(() => clock.reset());

const welcome = (now, more) => ({ t: "welcome", session: "s1", resume: "token", recovered: false, now, ...more });

/** A connection whose `welcome` arrives so many milliseconds after `hello`, with this time. */
function connect(server, roundTrip, now, more) {
  server.socket.onopen({});
  clock.tick(roundTrip);
  server.send(welcome(now, more));
}

function begin() {
  const server = new FakeServer(), client = server.client();
  client.connect();
  return { server, client };
}

/** Loses the connection, and begins the next one. */
function lose(server) {
  server.drop(1006);
  clock.tick(0);
}

test("a device that is 20 s slow has the server's time, from the first connection on", () => {
  const { server, client } = begin();
  assert.equal(client.now(), SLOW, "the device's, before");
  const seen = [];
  client.on("connected", () => seen.push(client.now()));
  connect(server, 100, SERVER + 50);
  assert.deepEqual([client.now(), seen], [SERVER + 100, [SERVER + 100]], "the welcome took half of the round trip");
  clock.tick(7_000);
  assert.equal(client.now(), SERVER + 7_100);
  client.close();
  assert.equal(client.now(), SERVER + 7_100, "also afterwards");
});

test("the time that a socket takes to open, and `getToken`, are not part of the round trip", async () => {
  const server = new FakeServer(), client = server.client({ getToken: async () => (clock.tick(3_000), "token") });
  client.connect();
  clock.tick(4_000);
  server.socket.onopen({});
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.received[0].t, "hello");
  clock.tick(10);
  server.send(welcome(SERVER + 7_005));
  assert.equal(client.now(), SERVER + 7_010);
});

test("of several connections the one with the shortest round trip counts", () => {
  const { server, client } = begin();
  connect(server, 100, SERVER + 90); // 40 ms too much: the way there was the longer one.
  assert.equal(client.now() - Date.now(), 20_040);
  lose(server);
  connect(server, 10, SERVER + 105, { recovered: true });
  assert.equal(client.now() - Date.now(), 20_000);
  lose(server);
  connect(server, 600, SERVER + 300, { recovered: true });
  assert.equal(client.now() - Date.now(), 20_000);
});

test("a connection that contradicts the earlier ones replaces them: the device's clock was set", () => {
  const { server, client } = begin();
  connect(server, 10, SERVER + 5);
  client.close();
  clock.setTime(SERVER + 60_000); // It was 20 s slow; now it is right.
  client.connect();
  connect(server, 400, SERVER + 60_200, { recovered: true });
  assert.equal(client.now(), SERVER + 60_400);
});

test("what was measured while the device's clock was set back does not count, and an older server has no time", () => {
  const { server, client } = begin();
  server.socket.onopen({});
  clock.setTime(SLOW - 5_000);
  server.send(welcome(SERVER));
  assert.equal(client.now(), SLOW - 5_000);
  lose(server);
  connect(server, 10, undefined, { recovered: true });
  assert.equal(client.now(), Date.now());
  assert.deepEqual(client.emitted.filter(([name]) => name === "error"), []);
});

test("a time that is none is a frame of another protocol", () => {
  for (const now of [-1, "12:00", 1.5, null]) {
    const { server, client } = begin();
    connect(server, 10, now);
    assert.deepEqual(client.emitted.filter(([name]) => name === "error").map(([, { code }]) => code), ["bad_frame"]);
    client.close();
  }
});
