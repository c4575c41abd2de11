// One player, several sessions: with `sessionsPerPlayer: 1` a further one takes the seat of the older one. Not for a cluster.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

const folder = mkdtempSync(join(tmpdir(), "sessions-"));
const key = join(folder, "key");
let server;
before(async () => {
  writeFileSync(key, randomBytes(32).toString("hex"));
  server = await Server.start({ args: ["--fixtures", "--lobby", "one-seat", "--token-keys", key] });
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A client of the account 42 that has sent this `hello` and is in the room. */
async function opened(hello) {
  const client = await Raw.connect(server.url);
  client.send({ t: "hello", ...hello });
  const welcome = await client.frame("welcome");
  return { client, welcome, room: await client.frame("room") };
}

const token = () => execFileSync(process.env.CHORUS_BIN, ["token", "mint", "--key", key, "--subject", "42"], { encoding: "utf8" }).trim();

async function count(client, id) {
  client.send({ t: "msg", id, type: "count" });
  return (await client.answer(id)).data;
}

test("a further session takes the seat and the data, and the older one is closed with 4504", { timeout: 120_000 }, async () => {
  const laptop = await opened({ token: token() });
  assert.equal(await count(laptop.client, 1), 1);
  const phone = await opened({ token: token() });
  assert.notEqual(phone.welcome.session, laptop.welcome.session);
  const { reason } = await laptop.client.frame("left");
  assert.equal(reason, "replaced");
  assert.deepEqual(await laptop.client.closed(), { code: 4504, reason: "this player continues in another session" });
  assert.equal(await count(phone.client, 1), 2, "it counts on");

  // It was replaced while its seat was held.
  phone.client.terminate();
  const tablet = await opened({ token: token() });
  assert.equal(await count(tablet.client, 1), 3);
  const { left } = tablet.room.view;
  assert.deepEqual(left.slice(0, 1), [[laptop.welcome.session, "replaced"]]);
  const back = await Raw.connect(server.url);
  back.send({ t: "hello", resume: phone.welcome.resume, token: token(), last: { [phone.room.room]: phone.room.seq } });
  assert.deepEqual(await back.closed(), { code: 4504, reason: "this player continues in another session" });
  assert.equal(await count(tablet.client, 2), 4, "nothing has replaced it");
  tablet.client.terminate();
});

test("another player is not let in in its place", { timeout: 60_000 }, async () => {
  const laptop = await opened({ token: token() });
  const other = await Raw.connect(server.url);
  other.send({ t: "hello", name: "Bo" });
  const { code, reason } = await other.closed();
  assert.deepEqual([code, reason], [4010, "the lobby refused the session: the room is full"]);
  laptop.client.terminate();
});
