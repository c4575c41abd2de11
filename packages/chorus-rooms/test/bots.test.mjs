// Bots against a server that is a class here; the command against a real one is in `chorus/tests/e2e/bots.test.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { runBots, tableOf } from "../src/bots.mjs";
import { Histogram } from "../src/histogram.mjs";
import { fakeSocket } from "./fake-socket.mjs";

const fleet = (bot, more = {}) => runBots(bot, { url: "ws://server/ws", count: 20, rate: 10_000, ms: 60_000, WebSocket: fakeSocket(), ...more });

test("each bot plays, and its replies are counted", async () => {
  const indices = [];
  const report = await fleet(async ({ client, room, index }) => {
    indices.push(index);
    assert.equal(room.kind, "lobby");
    for (let i = 0; i < 3; i++) await room.send("x", { i });
    await client.send("y");
  }, { WebSocket: fakeSocket(() => ({ reply: 1, events: 2 })) });
  assert.deepEqual(indices, Array.from({ length: 20 }, (_, i) => i));
  const { ok, bots, done, failed, joins, replies, events } = report;
  assert.deepEqual({ ok, bots, done, failed, joins: joins.count, replies: replies.count, events }, { ok: true, bots: 20, done: 20, failed: 0, joins: 20, replies: 80, events: 160 });
  assert.match(tableOf(report), /^20 bots on ws:\/\/server\/ws, [\d.]+ s: 20 done, 0 stopped at the end, 0 failed\n[^]*\njoins +20[^]*\nreplies +80/);
});

test("a bot that fails is reported, and the others go on", async () => {
  const report = await fleet(async ({ room, index }) => {
    await room.send("x");
    if (index % 2 === 1) throw new Error("I lost");
  });
  assert.deepEqual([report.ok, report.done, report.failed, report.failures], [false, 10, 10, { "I lost": 10 }]);
  assert.match(tableOf(report), /failed: 10 × I lost$/);
});

test("refusals are replies, and other errors are counted by their text", async () => {
  const WebSocket = fakeSocket((type) => (type === "no" ? { refused: "not now" } : { close: 4503 }));
  const report = await fleet(async ({ room }) => {
    await assert.rejects(room.send("no"), { code: "refused" });
    await room.send("out");
  }, { count: 2, WebSocket });
  assert.deepEqual([report.refused, report.replies.count, report.failed], [2, 2, 2]);
  assert.deepEqual(report.failures, { "the server has closed the connection: 4503 no": 2 });
});

test("a bot that is kicked between two calls fails with the server's code and reason, and not with the state of its client", async () => {
  const report = await fleet(async ({ client, room }) => {
    const isClosed = new Promise((resolve) => client.on("disconnected", resolve));
    room.send("out").catch(() => {});
    await isClosed;
    await room.send("x");
  }, { count: 3, WebSocket: fakeSocket(() => ({ close: 4503 })) });
  assert.deepEqual([report.ok, report.failed, report.failures], [false, 3, { "the server has closed the connection: 4503 no": 3 }]);
});

test("the end stops bots that play on, and is no failure", async () => {
  let ended = 0, sent = 0;
  const enough = new AbortController();
  const WebSocket = fakeSocket(() => { if (++sent === 50) enough.abort(); return { reply: null }; });
  const report = await fleet(async ({ room, signal, sleep }) => {
    while (!signal.aborted) {
      await room.send("x");
      await sleep(5);
    }
    ended += 1;
  }, { count: 5, WebSocket, signal: enough.signal });
  assert.deepEqual([report.ok, report.stopped, report.failed, ended], [true, 5, 0, 5]);
  assert.ok(report.replies.count >= 45);
});

test("a run in which nobody has joined fails", async () => {
  const Silent = class { send() {} close() {} };
  const report = await fleet(async () => {}, { count: 3, ms: 50, WebSocket: Silent });
  assert.deepEqual([report.ok, report.joins.count, report.stopped], [false, 0, 3]);
});

test("many kinds of errors take bounded memory", async () => {
  const report = await fleet(async ({ index }) => { throw new Error(`unique ${index}`); }, { count: 100 });
  assert.equal(Object.keys(report.failures).length, 33);
  assert.equal(report.failures.others, 68);
});

test("percentiles are right within 4 %", () => {
  const histogram = new Histogram();
  for (let micros = 1; micros <= 100_000; micros++) histogram.add(micros);
  for (const [share, wanted] of [[0.01, 1_000], [0.5, 50_000], [0.99, 99_000]]) {
    const found = histogram.at(share);
    assert.ok(Math.abs(found - wanted) <= wanted * 0.04, `${share}: ${found}`);
  }
  assert.deepEqual([histogram.most, histogram.at(1), new Histogram().at(0.5)], [100_000, 100_000, 0]);
});
