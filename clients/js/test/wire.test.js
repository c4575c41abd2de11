// The package `ws` behaves as the fake socket of the stories does: one message with its reply, one lost connection.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { WebSocket, WebSocketServer } from "ws";

import { Chorus } from "../chorus.js";
import { GAME, reply, room } from "./fake.js";

test("over a real socket", { timeout: 10_000 }, async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  server.on("connection", answer);
  const client = new Chorus(`http://127.0.0.1:${server.address().port}/ws`, { WebSocket, storage: null });
  client.connect();
  assert.equal(await client.send("move"), "first");
  const lost = new Promise((resolve) => client.on("disconnected", resolve));
  for (const socket of server.clients) socket.terminate();
  assert.equal((await lost).code, 1006);
  assert.equal(await client.send("move"), "second");
  client.close();
  server.close();
});

function answer(socket) {
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    const respond = (answer) => socket.send(JSON.stringify(answer));
    const recovered = frame.resume !== undefined;
    if (frame.t === "msg") return respond(reply(GAME, frame.id + 1, frame.id, frame.id === 1 ? "first" : "second"));
    respond({ t: "welcome", session: "s", resume: "again", recovered, pingMs: 15_000 });
    if (!recovered) respond(room(GAME, 1));
  });
}
