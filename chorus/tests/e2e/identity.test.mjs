// Accounts and guests, end to end: `chorus token mint`, tokens, rooms that see who is there. Not for a cluster.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { Chorus } from "../../../clients/js/chorus.js";
import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";

const folder = mkdtempSync(join(tmpdir(), "identity-"));
const key = join(folder, "key");
let server;
before(async () => {
  writeFileSync(key, randomBytes(32).toString("hex"));
  // Clients find it there after a kill.
  const port = await freePort();
  server = await Server.start({ port, args: ["--fixtures", "--lobby", "members", "--token-keys", key, "--token-claims", "role"] });
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function mint(subject, ...more) {
  const given = ["--key", key, "--subject", subject, "--name", "Ana of the site", "--claim", 'role="admin"', ...more];
  return execFileSync(process.env.CHORUS_BIN, ["token", "mint", ...given], { encoding: "utf8" }).trim();
}

/** A client that is in the lobby, with the details of its connection. */
async function connected(options) {
  const client = new Chorus(`${server.url}/ws`, { WebSocket, storage: null, ...options });
  const details = new Promise((resolve, reject) => {
    client.on("connected", resolve);
    client.on("disconnected", ({ willRetry, code }) => willRetry || reject(new Error(`closed with ${code}`)));
  });
  const inLobby = new Promise((resolve) => client.on("room", resolve));
  client.connect();
  const { player, recovered } = await details;
  await inLobby;
  return { client, player, recovered };
}

/** As `sessionStorage`, for two clients of one tab. */
function tab() {
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
}

test("a guest signs in, keeps its session, and is its account in the room, also after a kill", { timeout: 240_000 }, async () => {
  const storage = tab();
  const guest = await connected({ storage, name: "Ana" });
  assert.match(guest.player, /^g:[0-9a-f]{32}$/);
  assert.deepEqual(await guest.client.send("who"), [guest.player, "Ana", null]);
  guest.client.close();

  const account = await connected({ storage, getToken: () => mint("42") });
  assert.deepEqual([account.player, account.recovered], ["u:42", true]);
  const who = ["u:42", "Ana of the site", null];
  assert.deepEqual(await account.client.send("who"), who);
  const { view } = account.client.room;
  assert.deepEqual(view.upgrades, [[guest.player, "u:42", { role: "admin" }]]);
  assert.equal(view.claims[guest.player], null);

  const again = new Promise((resolve) => account.client.on("connected", resolve));
  await server.kill9();
  await server.start();
  assert.equal((await again).recovered, true);
  assert.deepEqual(await account.client.send("who"), who);
  assert.deepEqual(account.client.room.view, view);
  account.client.close();
});

test("an account is the same player on two devices, with its claims in the hooks of the join", { timeout: 120_000 }, async () => {
  const token = mint("43");
  const first = await connected({ token }), second = await connected({ token });
  assert.deepEqual([first.player, second.player], ["u:43", "u:43"]);
  assert.deepEqual(second.client.room.view.claims["u:43"], { role: "admin" });
  assert.deepEqual(await second.client.send("who"), ["u:43", "Ana of the site", null]);
  for (const { client } of [first, second]) client.close();
});

test("a session goes on over the end of its token, and ends where no other comes", { timeout: 120_000 }, async () => {
  const lasting = await connected({ getToken: () => mint("44", "--expires-in", "2") });
  let renewals = 0;
  await new Promise((resolve) => lasting.client.on("renewed", () => ++renewals === 2 && resolve()));
  assert.deepEqual((await lasting.client.send("who"))[0], "u:44");
  assert.deepEqual([lasting.client.resumes, lasting.client.gaps], [0, 0]);
  lasting.client.close();
  await assert.rejects(connected({ token: `${mint("44")}x` }), /closed with 4501/);
});
