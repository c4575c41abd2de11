// What operators do with a player's data: reports, export, erasure. Not for a cluster.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

/** Three times a minute, the time in which the log is cut. */
const CUT_MS = 180_000;
const POLL_MS = 250;

const folder = mkdtempSync(join(tmpdir(), "erase-"));
const key = join(folder, "key");
let server;
before(async () => {
  writeFileSync(key, randomBytes(32).toString("hex"));
  const args = ["--fixtures", "--lobby", "chat", "--token-keys", key, "--token-claims", "role", "--anonymous"];
  server = await Server.start({ args });
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** `chorus player …`, and what it prints. */
async function player(...args) {
  const token = readFileSync(join(server.data, "token"), "utf8").trim();
  const env = { ...process.env, CHORUS_MONITOR: server.url, CHORUS_TOKEN: token };
  return (await promisify(execFile)(server.bin, ["player", ...args], { env })).stdout;
}

async function exported(id) { return JSON.parse(await player("export", id)); }

/** Waits for a result that holds. */
async function until(what, attempt, ms = CUT_MS) {
  const deadline = Date.now() + ms;
  for (;;) {
    const result = await attempt();
    if (result) return result;
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function mint(subject, role) {
  const claims = role === undefined ? [] : ["--claim", `role=${JSON.stringify(role)}`];
  return execFileSync(process.env.CHORUS_BIN, ["token", "mint", "--key", key, "--subject", subject, "--name", subject, ...claims], { encoding: "utf8" }).trim();
}

async function joined(subject, role) {
  const client = await Raw.connect(server.url);
  client.send({ t: "hello", token: mint(subject, role) });
  const welcome = await client.frame("welcome");
  await client.frame("room");
  let id = 0;
  const request = async (type, data) => {
    client.send({ t: "msg", id: ++id, type, data });
    return client.answer(id);
  };
  return { client, welcome, request };
}

/** The files of the log that have this text. */
function logFilesWith(text) {
  const log = join(server.data, "log");
  const files = readdirSync(log, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name)).filter((file) => readFileSync(file).includes(text));
}

test("a player is reported, muted, exported and erased, and the log is cut", { timeout: 600_000 }, async () => {
  const name = `ana-${randomBytes(8).toString("hex")}`, ana = `u:${name}`;
  const [mia, one, bo] = [await joined("mia", "moderator"), await joined(name), await joined("bo")];
  assert.equal((await one.request("say", "buy this")).t, "reply");
  await bo.request("report", { id: ana, text: "buy this" });
  await mia.request("mute", { id: ana, seconds: 3_600 });
  assert.equal((await one.request("say", "buy that")).code, "refused");

  await until("the report is listed", async () => (await player("reports")).includes(ana), 30_000);
  const { reports: [report] } = JSON.parse(await player("reports", ana, "--json"));
  assert.deepEqual([report.player, report.reason, report.data.text, report.kind], [ana, "reported by a player", "buy this", "chat"]);

  const before = await until("a snapshot has the player", async () => {
    const all = await exported(ana);
    return all.rooms[0]?.members.length > 0 && all;
  });
  assert.deepEqual([before.player, before.sessions.length, before.reports.length, before.complete], [ana, 1, 1, true]);
  assert.deepEqual(before.rooms[0].members.map((member) => [member.name, member.connected]), [[name, true]]);
  assert.ok(before.rooms[0].members[0].frames.length > 0, "the room keeps frames for it");
  const moderator = await exported("u:mia");
  assert.deepEqual(moderator.rooms[0].members[0].data, { moderator: true });
  assert.ok(logFilesWith(ana).length > 0);

  assert.match(await player("erase", ana), /1 session ended.*1 report deleted.*1 room to erase it/s);
  assert.deepEqual(await one.client.closed(), { code: 4503, reason: "this player was erased" });
  const after = await until("no snapshot has the player", async () => {
    const all = await exported(ana);
    return all.rooms.length === 0 && all;
  });
  assert.deepEqual([after.sessions, after.reports, after.ban], [[], [], null]);
  await until("the log is cut", () => logFilesWith(ana).length === 0);
  assert.match(await player("erase", ana), /nothing is kept of/);
  assert.match(await player("erase", "u:nobody"), /nothing is kept of u:nobody/);

  assert.equal((await bo.request("say", "still here")).t, "reply");
  const again = await joined(name);
  assert.equal((await again.request("say", "hello")).t, "reply", "the room's script has dropped the mute");
  for (const { client } of [mia, bo, again]) client.terminate();
});

test("an erasure survives a server that is killed at once", { timeout: 240_000 }, async () => {
  const name = `cleo-${randomBytes(8).toString("hex")}`;
  const [mia, cleo] = [await joined("mia", "moderator"), await joined(name)];
  await mia.request("mute", { id: `u:${name}`, seconds: 3_600 });
  await player("erase", `u:${name}`);
  await server.kill9();
  await server.start();
  await until("no snapshot has the player", async () => (await exported(`u:${name}`)).rooms.length === 0);
  await until("the log is cut", () => logFilesWith(`u:${name}`).length === 0);
  for (const { client } of [mia, cleo]) client.terminate();
});
