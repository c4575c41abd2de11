// An operator erases a player who is in rooms of two hosts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import pg from "pg";

import { run } from "../../../testing/services/programs.mjs";
import { stories } from "./stories.mjs";

/** Rooms' partitions are random: of so many rooms, two are on different hosts. */
const ROOMS = 20;

const folder = mkdtempSync(join(tmpdir(), "erase-"));
const key = join(folder, "key");
writeFileSync(key, randomBytes(32).toString("hex"));
after(() => rmSync(folder, { recursive: true, force: true }));

const story = stories({
  kinds: ["lobby", "chat"],
  standIns: { lobby: "bench-lobby" },
  edgeArgs: ["--anonymous", "--token-keys", key, "--token-claims", "role"],
  hostArgs: ["--hibernate-after", "1"],
});

function mint(subject, role) {
  const claims = role === undefined ? [] : ["--claim", `role="${role}"`];
  return execFileSync(process.env.CHORUS_BIN, ["token", "mint", "--key", key, "--subject", subject, "--name", subject, ...claims], { encoding: "utf8" }).trim();
}

/** A session in the lobby, at this edge. */
async function signedIn(raw, edge, token) {
  const client = await raw(edge);
  await client.hello({ token });
  await client.frame("room");
  let id = 0;
  const request = async (type, data) => {
    client.send({ t: "msg", id: ++id, type, data });
    const answer = await client.answer(id);
    assert.equal(answer.t, "reply", JSON.stringify(answer));
  };
  return { client, request };
}

/** A room of a moderator and the player, in which the player is muted: the script's state has its id. */
async function mutedIn(raw, n, player, tokens) {
  const members = [await signedIn(raw, 0, tokens.moderator), await signedIn(raw, 1, tokens.player)];
  for (const { request } of members) await request("enter", { kind: "chat", key: `${n}`, size: 2 });
  const [{ room }] = await Promise.all(members.map(({ client }) => client.frame("room", ({ kind }) => kind === "chat")));
  const [moderator, muted] = members;
  await moderator.request("mute", { id: player, seconds: 3_600 });
  return { room, moderator, muted };
}

async function rowsOf(cluster, player) {
  const client = new pg.Client({ connectionString: cluster.database.url });
  await client.connect();
  try {
    return Number((await client.query("SELECT count(*) FROM sessions WHERE player = $1", [player])).rows[0].count);
  } finally {
    await client.end();
  }
}

/** The room's records that the log still returns; `null` when it was cut while they were read. */
async function recordsOf({ operator }, room) {
  const env = { ...process.env, CHORUS_MONITOR: operator.monitors[0], CHORUS_TOKEN: operator.token };
  try {
    return await run(operator.bin, ["room", "events", room], { env });
  } catch (error) {
    if (/is no longer kept/.test(error.message)) return null;
    throw error;
  }
}

story("a player in rooms of two hosts is erased from both, from the store and from the log", async ({ cluster, raw }) => {
  const name = `ana-${randomBytes(8).toString("hex")}`, ana = `u:${name}`;
  const tokens = { moderator: mint("mia", "moderator"), player: mint(name) };
  const rooms = new Map();
  for (let n = 0; n < ROOMS && rooms.size < 2; n += 1) {
    const one = await mutedIn(raw, n, ana, tokens);
    const host = await cluster.hostOf(one.room);
    if (!rooms.has(host)) rooms.set(host, one);
    else for (const { client } of [one.moderator, one.muted]) client.terminate();
  }
  const both = [...rooms.values()];
  assert.equal(both.length, 2, "two hosts");
  const exported = () => cluster.operator.chorus("player", "export", ana);
  const named = ({ rooms: found }) => found.map(({ room }) => room);
  await cluster.until("for snapshots with the player", async () => {
    const found = named(await exported());
    return both.every(({ room }) => found.includes(room)) ? null : `${found.length} rooms have it`;
  });
  assert.ok((await rowsOf(cluster, ana)) >= 2);

  const erased = await cluster.operator.chorus("player", "erase", ana);
  assert.ok(erased.sessions >= 2 && erased.rooms >= 2, JSON.stringify(erased));
  for (const { muted } of both) assert.deepEqual(await muted.client.closed(), { code: 4503, reason: "this player was erased" });
  assert.equal(await rowsOf(cluster, ana), 0);
  await cluster.until("for snapshots without the player", async () => {
    const { sessions, reports, rooms: found } = await exported();
    return sessions.length + reports.length + found.length === 0 ? null : `${found.length} rooms have it`;
  });
  for (const { room } of both) {
    const { state } = await cluster.operator.chorus("room", "state", room);
    assert.deepEqual(state.state.muted, {}, "onErase ran");
  }
  // The segment's bytes go later: see docs/privacy.md.
  await cluster.until("for the log to be cut", async () => {
    const records = await Promise.all(both.map(({ room }) => recordsOf(cluster, room)));
    return records.some((text) => text === null || text.includes(ana)) ? "a record may have the player's id" : null;
  });
  for (const { moderator } of both) await moderator.request("say", "still here");
  const again = await signedIn(raw, 0, tokens.player);
  await again.request("enter", { kind: "chat", key: "it may come back" });
});
