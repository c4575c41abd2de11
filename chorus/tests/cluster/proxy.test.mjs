// The proxy: the bytes that pass, the bytes that wait during a cut, and the addresses in a broker's answers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { Proxy } from "./proxy.mjs";

/** A server that answers each piece of input with the result of `answer`. */
async function serve(answer) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (piece) => socket.write(answer(piece, server.address().port)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function connected(port) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

async function received(socket) {
  const [piece] = await once(socket, "data");
  return piece;
}

test("a cut is silent, and after it heals the bytes in flight arrive", async () => {
  const echo = await serve((piece) => piece);
  const proxy = await Proxy.ofPostgres(`postgres://me@127.0.0.1:${echo.address().port}/mine`);
  const { port } = new URL(proxy.url);
  const before = await connected(port);
  before.write("one");
  assert.equal(String(await received(before)), "one");

  proxy.cut();
  const after = await connected(port);
  const arrived = [];
  for (const socket of [before, after]) (socket.on("data", (piece) => arrived.push(String(piece))), socket.write("two"));
  // A round trip by another path during the cut: in that time an answer would have arrived.
  const elsewhere = await connected(echo.address().port);
  for (let n = 0; n < 20; n++) (elsewhere.write("ping"), await received(elsewhere), await setImmediate());
  assert.deepEqual([arrived, before.destroyed, after.destroyed], [[], false, false]);

  proxy.heal();
  while (arrived.length < 2) await setImmediate();
  assert.deepEqual(arrived, ["two", "two"]);
  for (const socket of [before, after, elsewhere]) socket.destroy();
  proxy.close();
  echo.close();
});

test("a broker's own address is replaced in its answers, also in one that arrives in pieces", async () => {
  /** An answer that contains the address twice: once with a length of two bytes before the name, once of one byte. */
  const answer = (port) => {
    const place = Buffer.concat([Buffer.from("127.0.0.1"), Buffer.from([0, 0, port >> 8, port & 255])]);
    const body = Buffer.concat([Buffer.from([0, 9]), place, Buffer.from([10]), place, Buffer.from("127.0.0.1 and so on")]);
    return Buffer.concat([Buffer.from([0, 0, 0, body.length]), body]);
  };
  const broker = await serve((piece, port) => (piece[0] === 1 ? answer(port).subarray(0, 20) : answer(port).subarray(20)));
  const proxy = await Proxy.ofBroker(`127.0.0.1:${broker.address().port}`);
  const port = Number(proxy.brokers.split(":")[1]);
  assert.notEqual(port, broker.address().port);
  const client = await connected(port);
  client.write(Buffer.from([1]));
  const rest = new Promise((resolve) => setTimeout(resolve, 20)).then(() => client.write(Buffer.from([2])));
  assert.deepEqual(await received(client), answer(port));
  await rest;
  client.destroy();
  proxy.close();
  broker.close();
});
