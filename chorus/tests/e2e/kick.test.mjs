// A kick ends a session, with or without a connection, and even if the server is killed meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { WAIT_MS } from "./player.mjs";
import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

/** A session may send 50 frames a second. */
const POLL_MS = 25;

let server;
before(async () => {
  server = await Server.start({ args: ["--fixtures", "--lobby", "bouncer"] });
});
after(() => server?.stop());

let id = 0;
async function request(client, type, data) {
  client.send({ t: "msg", id: ++id, type, data });
  const answer = await client.answer(id);
  assert.equal(answer.t, "reply", JSON.stringify(answer));
  return answer.data;
}

/** Repeats a message until its answer fits, within the edge's rate limit. */
async function until(client, type, fits) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    client.send({ t: "msg", id: ++id, type });
    const answer = await client.answer(id);
    if (answer.t === "reply" && fits(answer.data)) return answer.data;
    assert.ok(answer.t === "reply" || answer.code === "rate_limited", JSON.stringify(answer));
    assert.ok(Date.now() < deadline, `in vain: ${type} is ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, answer.retryAfterMs ?? POLL_MS));
  }
}

/** A client in the lobby that has sent a message: the lobby holds no seat for sessions that have not. */
async function join(name) {
  const client = await Raw.connect(server.url);
  const welcome = await client.arrive(name);
  await request(client, "who");
  return { client, ...welcome };
}

const isOut = (name) => (gone) => gone.some(([who, reason]) => who === name && reason === "kicked");

test("a connected player is closed with the reason, and its token no longer resumes", { timeout: 60_000 }, async () => {
  const [host, ana] = [await join("Host"), await join("Ana")];
  await request(host.client, "kick", { name: "Ana", why: "cheating" });
  assert.deepEqual(await ana.client.closed(), { code: 4503, reason: "cheating" });
  await until(host.client, "gone", isOut("Ana"));
  const again = await Raw.connect(server.url);
  again.send({ t: "hello", resume: ana.resume, name: "Ana" });
  assert.deepEqual(await again.closed(), { code: 4503, reason: "cheating" });
  host.client.terminate();
});

test("a player who is away is kicked too, and receives the reason", { timeout: 60_000 }, async () => {
  const [host, bo] = [await join("Host"), await join("Bo")];
  bo.client.terminate();
  await until(host.client, "who", (who) => who.some(([name, connected]) => name === "Bo" && !connected));
  await request(host.client, "kick", { name: "Bo", why: "asleep" });
  await until(host.client, "gone", isOut("Bo"));
  const again = await Raw.connect(server.url);
  again.send({ t: "hello", resume: bo.resume, last: { [bo.room]: 1 } });
  assert.deepEqual(await again.closed(), { code: 4503, reason: "asleep" });
  host.client.terminate();
});

test("the kick survives a server that is killed at once", { timeout: 120_000 }, async () => {
  const [host, cleo] = [await join("Host"), await join("Cleo")];
  cleo.client.terminate();
  await until(host.client, "who", (who) => who.some(([name, connected]) => name === "Cleo" && !connected));
  await request(host.client, "kick", { name: "Cleo", why: "late" });
  await server.kill9();
  await server.start();
  const back = await Raw.connect(server.url);
  await back.hello({ resume: host.resume });
  await back.frame("room");
  await until(back, "gone", isOut("Cleo"));
  const again = await Raw.connect(server.url);
  again.send({ t: "hello", resume: cleo.resume });
  assert.deepEqual(await again.closed(), { code: 4503, reason: "late" });
  back.terminate();
});
