// An operator kicks, bans and logs out players by `chorus player`, end to end. Not for a cluster, which has stories of its own.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { freePort } from "../../../testing/services/programs.mjs";
import { WAIT_MS } from "./player.mjs";
import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

/** A session may send 50 frames a second. */
const POLL_MS = 25;
const STORY = { timeout: 120_000 };

const folder = mkdtempSync(join(tmpdir(), "ban-"));
const [key, names] = ["key", "names"].map((file) => join(folder, file));
let server;
before(async () => {
  writeFileSync(key, randomBytes(32).toString("hex"));
  writeFileSync(names, "# nobody\nadmin\n");
  const args = ["--fixtures", "--lobby", "bouncer", "--token-keys", key, "--blocked-names", names];
  // An operator finds it there after a kill.
  server = await Server.start({ port: await freePort(), args });
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs `chorus player ARGS --json`, and resolves with its output, or rejects with its error. */
async function operator(...args) {
  const token = (await readFile(join(server.data, "token"), "utf8")).trim();
  const env = { ...process.env, CHORUS_MONITOR: server.url, CHORUS_TOKEN: token };
  const { code, stdout } = await promisify(execFile)(process.env.CHORUS_BIN, ["player", ...args, "--json"], { env }).catch((error) => error);
  if (code) throw new Error(JSON.parse(stdout).error);
  return JSON.parse(stdout);
}

/** A token of an account. */
function mint(subject, { id } = {}) {
  const jti = id ? ["--claim", `jti=${JSON.stringify(id)}`] : [];
  const given = ["--key", key, "--subject", subject, "--name", `Player ${subject}`, ...jti];
  return execFileSync(process.env.CHORUS_BIN, ["token", "mint", ...given], { encoding: "utf8" }).trim();
}

let id = 0;
/** Repeats a message until its answer fits, within the edge's rate limit. */
async function until(client, type, fits) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    client.send({ t: "msg", id: ++id, type });
    const answer = await client.answer(id);
    if (answer.t === "reply" && fits(answer.data)) return;
    assert.ok(answer.t === "reply" || answer.code === "rate_limited", JSON.stringify(answer));
    assert.ok(Date.now() < deadline, `in vain: ${type} is ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, answer.retryAfterMs ?? POLL_MS));
  }
}

/** A client that has said hello. */
async function hello(members) {
  return (await Raw.connect(server.url)).send({ t: "hello", ...members });
}

/** A client in the lobby that has sent a message: the lobby holds no seat for sessions that have not. */
async function arrive(members) {
  const client = await hello(members);
  const welcome = await client.frame("welcome");
  await client.frame("room");
  await until(client, "who", () => true);
  return { client, ...welcome };
}

async function refusal(members) {
  return (await hello(members)).closed();
}

const isOut = (name) => (gone) => gone.some(([who, reason]) => who === name && reason === "kicked");

test("players are listed with their sessions, and one is shown with its rooms", STORY, async () => {
  const [ana, guest] = [await arrive({ token: mint("10") }), await arrive({ name: "Bea" })];
  const { sessions } = await operator("ls");
  const shown = sessions.map(({ player, name, connected, address }) => [player, name, connected, address]);
  assert.deepEqual(shown.filter(([player]) => [ana.player, guest.player].includes(player)).sort(), [
    [guest.player, "Bea", true, "127.0.0.1/32"],
    ["u:10", "Player 10", true, "127.0.0.1/32"],
  ]);
  const status = await operator("get", "u:10");
  assert.deepEqual([status.ban, status.sessions.length, status.sessions[0].rooms.length], [null, 1, 1]);
  await assert.rejects(operator("get", "u:nobody"), /has no session and no ban/);
  for (const { client } of [ana, guest]) client.terminate();
});

test("a kick ends a player's sessions, connected or not, and the player may come again", STORY, async () => {
  const host = await arrive({ name: "Host" });
  const token = mint("20");
  const [here, away] = [await arrive({ token }), await arrive({ token })];
  away.client.terminate();
  const { sessions } = await operator("kick", "u:20", "--reason", "enough for today");
  assert.equal(sessions, 2);
  assert.deepEqual(await here.client.closed(), { code: 4503, reason: "enough for today" });
  await until(host.client, "gone", (gone) => gone.filter(([who]) => who === "Player 20").length === 2);
  for (const { resume } of [here, away]) assert.deepEqual(await refusal({ resume }), { code: 4503, reason: "enough for today" });
  const again = await arrive({ token });
  assert.equal(again.recovered, false);
  for (const { client } of [host, again]) client.terminate();
});

test("a banned player is out, also after a kill, until the ban is lifted", STORY, async () => {
  const host = await arrive({ name: "Host" });
  const ana = await arrive({ token: mint("30") });
  const { bans } = await operator("ban", "u:30", "--for", "7d", "--reason", "cheating", "--note", "see the log");
  assert.deepEqual(bans.map(({ target, ends_at, created_at }) => [target, ends_at - created_at]), [["u:30", 7 * 86_400_000]]);
  const refused = { code: 4503, reason: "cheating" };
  assert.deepEqual(await ana.client.closed(), refused);
  await until(host.client, "gone", isOut("Player 30"));
  assert.deepEqual(await refusal({ token: mint("30") }), refused);
  await server.kill9();
  await server.start();
  for (const members of [{ token: mint("30") }, { resume: ana.resume }]) assert.deepEqual(await refusal(members), refused);
  const listed = (await operator("bans")).bans.map(({ target, note }) => [target, note]);
  assert.deepEqual(listed, [["u:30", "see the log"]]);
  assert.deepEqual(await operator("unban", "u:30"), { target: "u:30" });
  (await arrive({ token: mint("30") })).client.terminate();
  await assert.rejects(operator("unban", "u:30"), /u:30 is not banned/);
});

test("a guest is banned by its id, and so is the account that it has become", STORY, async () => {
  const guest = await arrive({ name: "Cleo" });
  guest.client.terminate();
  const account = await arrive({ resume: guest.resume, guest: guest.guest, token: mint("40") });
  assert.deepEqual([account.player, account.recovered], ["u:40", true]);
  const { bans } = await operator("ban", guest.player, "--reason", "cheating");
  assert.deepEqual(bans.map(({ target }) => target), [guest.player, "u:40"]);
  assert.deepEqual(await account.client.closed(), { code: 4503, reason: "cheating" });
  for (const members of [{ guest: guest.guest }, { token: mint("40") }]) {
    assert.deepEqual(await refusal(members), { code: 4503, reason: "cheating" }, JSON.stringify(members));
  }
});

test("a ban of a network closes everybody there, and ends by itself", STORY, async () => {
  const ana = await arrive({ token: mint("50") });
  const { bans } = await operator("ban", "--address", "127.0.0.0/8", "--for", "2s", "--reason", "a bot");
  assert.deepEqual(bans.map(({ target }) => target), ["127.0.0.0/8"]);
  assert.deepEqual(await ana.client.closed(), { code: 4503, reason: "a bot" });
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const client = await hello({ token: mint("51") });
    const welcome = await client.frame("welcome").catch(() => null);
    client.terminate();
    if (welcome) break;
    assert.ok(Date.now() < deadline, "in vain");
  }
});

test("a logout ends the sessions, refuses the tokens of before, and takes later ones", STORY, async () => {
  const [before, one] = [mint("60"), mint("61", { id: "one" })];
  const [ana, ben] = [await arrive({ token: before }), await arrive({ token: one })];
  assert.equal((await operator("logout", "u:60")).sessions, 1);
  assert.equal((await operator("logout", "--token-id", "one", "--for", "1h")).sessions, 1);
  for (const { client } of [ana, ben]) assert.equal((await client.closed()).code, 4501);
  for (const token of [before, one]) assert.equal((await refusal({ token })).code, 4501);
  (await arrive({ token: mint("61", { id: "two" }) })).client.terminate();
  // A token has whole seconds, and one of the second of the logout is refused.
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const client = await hello({ token: mint("60"), resume: ana.resume });
    const welcome = await client.frame("welcome").catch(() => null);
    client.terminate();
    if (welcome) return assert.deepEqual([welcome.player, welcome.recovered], ["u:60", false]);
    assert.ok(Date.now() < deadline, "in vain");
  }
});

test("a player with a blocked name has a neutral one", STORY, async () => {
  const { client, name } = await arrive({ name: "xX_4dm1n_Xx" });
  assert.match(name, /^Player \d{4}$/);
  await until(client, "who", (who) => who.some(([shown]) => shown === name));
  client.terminate();
});
