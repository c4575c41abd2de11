// No secret is in a log at any level, in a list of processes, in an error, in an answer or in a metric. One process, and the
// commands of a cluster that fail before they reach one. `chorus/tests/cluster/secrets.test.mjs` has the cluster.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { freePort } from "../../../testing/services/programs.mjs";
import { LOUD, Secrets, Watched } from "../secrets.mjs";
import { START_MS } from "../server.mjs";
import { Raw } from "./raw.mjs";

const folder = mkdtempSync(join(tmpdir(), "secrets-"));
const running = new Set();
after(async () => {
  for (const process of running) process.child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

const SERVES = /chorus is at (http:\/\/127\.0\.0\.1:\d+)/;

const random = () => randomBytes(24).toString("hex");

function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function watch(...given) {
  const watched = new Watched(...given);
  running.add(watched);
  watched.ended.finally(() => running.delete(watched));
  return watched;
}

function mint(secrets, key, subject, ...more) {
  const token = execFileSync(process.env.CHORUS_BIN, ["token", "mint", "--key", key, "--subject", subject, ...more], { encoding: "utf8" }).trim();
  return secrets.addToken(`a token of ${subject}`, token);
}

/** Sends a `hello`, remembers the tokens of the `welcome`, and returns what came. */
async function hello(secrets, url, more) {
  const raw = await Raw.connect(url);
  const welcome = await raw.hello(more);
  for (const name of ["resume", "guest"]) if (welcome[name]) secrets.add(`the ${name} token of ${welcome.player}`, welcome[name]);
  await raw.frame("room");
  return { raw, welcome };
}

/** Sends a frame that ends the connection, and remembers the reason. */
async function refused(secrets, url, ...frames) {
  const raw = await Raw.connect(url);
  for (const frame of frames) raw.send(frame);
  const { code, reason } = await raw.closed();
  secrets.see(`the reason of a close with ${code}`, reason);
  secrets.see("frames before a close", JSON.stringify(raw.take().filter(({ t }) => t !== "welcome")));
  return code;
}

async function answer(secrets, url, path, headers = {}) {
  const response = await fetch(url + path, { headers, signal: AbortSignal.timeout(20_000) });
  const text = await response.text();
  secrets.see(`the answer to ${path}`, `${[...response.headers].join("\n")}\n${text}`);
  return { status: response.status, text };
}

function nothingIn(secrets) {
  assert.deepEqual(secrets.found(), []);
  assert.ok(secrets.seen > 0, "there is something to search");
}

test("a secret is found in each of its forms", () => {
  const secrets = new Secrets();
  const secret = secrets.add("a password", "hunter2 & co, no less/more?");
  for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString("hex"), Buffer.from(`ab${secret}c`).toString("base64"), Buffer.from(`${secret}c`).toString("base64url")]) {
    const here = new Secrets();
    here.add("a password", secret);
    here.see("a text", `before ${form} after`);
    assert.equal(here.found().length, 1, form);
  }
  secrets.see("a text", "nothing of it: hunter3 & co, no less");
  assert.deepEqual(secrets.found(), []);
});

test("the whole life of players and operators shows no secret", { timeout: 300_000 }, async () => {
  const secrets = new Secrets();
  const key = secrets.add("the key of tokens", random());
  const operators = secrets.add("the operators' token", random());
  const keys = file("key", `${key}\n`);
  const data = join(folder, "data");
  const env = { CHORUS_LOG: LOUD, CHORUS_TOKEN: operators };
  const server = watch(["dev", "--data", data, "--port", String(await freePort()), "--no-watch", "--fixtures", "--lobby", "members", "--token-keys", keys], env);
  const [, url] = await server.prints(SERVES, START_MS);
  secrets.see("the command line of dev", server.showCommandLine());

  const account = await hello(secrets, url, { token: mint(secrets, keys, "42") });
  account.raw.send({ t: "renew", token: mint(secrets, keys, "42", "--expires-in", "7200") });
  await account.raw.frame("renewed");
  account.raw.send({ t: "msg", id: 1, type: "who", data: null });
  await account.raw.answer(1);
  account.raw.terminate();
  const again = await hello(secrets, url, { token: mint(secrets, keys, "42"), resume: account.welcome.resume });
  assert.equal(again.welcome.session, account.welcome.session);
  const guest = await hello(secrets, url, { name: "Guest" });
  guest.raw.terminate();
  const upgraded = await hello(secrets, url, { guest: guest.welcome.guest, resume: guest.welcome.resume, token: mint(secrets, keys, "43") });
  upgraded.raw.send({ t: "renew", token: mint(secrets, keys, "44") });
  assert.equal((await upgraded.raw.closed()).code, 4501);

  const wrong = createHmac("sha256", "another key").update("x").digest("base64url");
  const [head, claims] = mint(secrets, keys, "45").split(".");
  secrets.add("the signature of a forged token", wrong);
  assert.equal(await refused(secrets, url, { t: "hello", token: `${head}.${claims}.${wrong}` }), 4501);
  assert.equal(await refused(secrets, url, { t: "hello", token: secrets.add("a text in place of a token", random()) }), 4501);
  const misplaced = secrets.add("a token in another's place", random());
  await refused(secrets, url, { t: "hello", last: misplaced });
  await refused(secrets, url, { t: "hello", token: [misplaced] });
  await refused(secrets, url, `{"t":"hello","token":"${misplaced}`);
  again.raw.send({ t: "renew", token: { misplaced } }).send({ t: "msg", id: 2, type: "x", room: misplaced });
  secrets.see("the error of a message", JSON.stringify(await again.raw.answer(2)));

  const authorization = `Bearer ${operators}`;
  assert.equal((await answer(secrets, url, "/v1/status", { authorization: `Bearer ${misplaced}` })).status, 401);
  for (const path of ["/healthz", "/dev", "/v1/nothing", `/v1/rooms?colour=${encodeURIComponent("red")}`]) await answer(secrets, url, path, { authorization });
  for (const path of ["/metrics", "/v1/status", "/v1/machines", "/v1/rooms", "/v1/kinds"]) {
    assert.equal((await answer(secrets, url, path, { authorization })).status, 200, path);
  }
  const { rooms } = JSON.parse((await answer(secrets, url, "/v1/rooms", { authorization })).text);
  for (const { id } of rooms) await answer(secrets, url, `/v1/rooms/${id}/events?content=true&follow=false`, { authorization });
  const stranger = watch(["status", "--json"], { CHORUS_MONITOR: url, CHORUS_TOKEN: misplaced, CHORUS_LOG: LOUD });
  assert.notEqual(await stranger.ended, 0);
  secrets.see("the error of a command", stranger.output);

  again.raw.terminate();
  assert.equal(await server.stop(), 0);
  assert.match(server.output, /DEBUG.*\n/, "the log is as loud as it can be");
  secrets.see("the log", server.output);
  nothingIn(secrets);
});

test("the data directory's own token is not printed", { timeout: 300_000 }, async () => {
  const secrets = new Secrets();
  const data = join(folder, "data");
  const server = watch(["dev", "--data", data, "--port", String(await freePort()), "--no-watch", "--fixtures", "--lobby", "members"], { CHORUS_LOG: LOUD });
  const [, url] = await server.prints(SERVES, START_MS);
  const kept = secrets.add("the kept token", readFileSync(join(data, "token"), "utf8").trim());
  const status = watch(["status", "--token-file", join(data, "token")], { CHORUS_MONITOR: url, CHORUS_LOG: LOUD });
  assert.equal(await status.ended, 0, status.output);
  assert.equal(await server.stop(), 0);
  secrets.see("the log", server.output);
  secrets.see("the output of a command", status.output);
  assert.ok(kept.length >= 16);
  nothingIn(secrets);
});

test("keys that cannot be fetched or read are in no log and in no error", { timeout: 300_000 }, async () => {
  const secrets = new Secrets();
  const query = secrets.add("a secret in the query of an address", random());
  const data = join(folder, "keys");
  const env = { CHORUS_LOG: LOUD, CHORUS_TOKEN_JWKS: `http://127.0.0.1:${await freePort()}/keys?key=${query}` };
  const server = watch(["dev", "--data", data, "--port", String(await freePort()), "--no-watch", "--fixtures", "--lobby", "members"], env);
  const [, url] = await server.prints(SERVES, START_MS);
  assert.equal(await refused(secrets, url, { t: "hello", token: "e30.e30.AAAA" }), 4010);
  await server.prints(/could not be fetched/, 20_000);
  assert.equal(await server.stop(), 0);
  secrets.see("the log", server.output);

  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  for (const line of pem.split("\n").filter((line) => line.length > 20 && !line.startsWith("-"))) secrets.add("a line of a private key", line);
  const certificate = file("certificate.pem", pem), tlsKey = file("key.pem", `${pem.slice(0, -40)}\n-----END PRIVATE KEY-----\n`);
  const password = secrets.add("a password in an address", random());
  const short = secrets.add("a short token", "hunter2hunter2");
  const dev = ["dev", "--data", join(folder, "none"), "--port", "0", "--no-watch"];
  for (const [args, more] of [
    [dev, { CHORUS_TOKEN_JWKS: `https://me:${password}@id.example/keys` }],
    [dev, { CHORUS_TOKEN_KEY: `{"kty":"oct","k":"${password}"` }],
    [dev, { CHORUS_TOKEN_KEY: `{"kty":"oct","k":{"a":"${password}"}}` }],
    [dev, { CHORUS_TOKEN_KEY: short }],
    [dev, { CHORUS_TOKEN: short }],
    [[...dev, "--token-keys", tlsKey], {}],
    [[...dev, "--tls-certificate", certificate, "--tls-key", tlsKey], {}],
    [[...dev, "--tls-certificate", tlsKey, "--tls-key", certificate], {}],
    [["token", "mint", "--subject", "1", "--key", tlsKey], {}],
    [["token", "mint", "--subject", "1", "--key", file("short", short)], {}],
    [["status"], { CHORUS_MONITOR: `http://me:${password}@127.0.0.1:1` }],
  ]) {
    const failed = watch(args, { CHORUS_LOG: LOUD, ...more });
    assert.notEqual(await failed.ended, 0, `${args.join(" ")} ${Object.keys(more)}`);
    secrets.see(`the output of chorus ${args.join(" ")}`, failed.output);
  }
  nothingIn(secrets);
});

/** A database that asks for a password and refuses every one. */
async function refusingDatabase() {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const isSsl = bytes.length === 8 && bytes.readUInt32BE(4) === 80877103;
      if (isSsl) return socket.write("N");
      if (bytes[0] !== 0x70) return socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
      const fields = Buffer.from('SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "chorus"\0\0');
      const head = Buffer.from([0x45, 0, 0, 0, 0]);
      head.writeUInt32BE(fields.length + 4, 1);
      socket.end(Buffer.concat([head, fields]));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

test("a cluster's commands print no password, and take none as an argument", { timeout: 300_000 }, async () => {
  const secrets = new Secrets();
  const password = secrets.add("the database's password", random());
  const sasl = secrets.add("the broker's password", random());
  const operators = secrets.add("the operators' token", random());
  const database = await refusingDatabase();
  const address = `127.0.0.1:${database.address().port}`;
  const url = `postgres://chorus:${password}@${address}/chorus`;
  const base = { CHORUS_LOG: LOUD, CHORUS_TOKEN: operators, CHORUS_KAFKA: `sasl.username=chorus;sasl.password=${sasl}` };
  try {
    for (const [args, more, says] of [
      [["migrate"], { CHORUS_POSTGRES: url }, /password authentication failed/],
      [["edge"], { CHORUS_POSTGRES: url }, /password authentication failed/],
      [["edge"], { CHORUS_POSTGRES: `postgres://chorus:${password}@127.0.0.1:port/chorus` }, /not the address/],
      [["edge"], { CHORUS_POSTGRES: `mysql://chorus:${password}@127.0.0.1/chorus` }, /not the address/],
      [["edge"], { CHORUS_POSTGRES: `postgres://chorus:${password}@127.0.0.1/chorus?sslmode=${password}` }, /./],
      [["edge"], { CHORUS_POSTGRES: url, CHORUS_KAFKA: `sasl.password ${sasl}` }, /KEY=VALUE/],
      [["monitor"], { CHORUS_POSTGRES: url, CHORUS_TOKEN: "" }, /token is missing/],
      [["host", "--postgres", url], {}, /list of processes/],
      [["host", "--kafka", `sasl.password=${sasl}`], { CHORUS_POSTGRES: url, CHORUS_KAFKA: "" }, /list of processes/],
      [["monitor", "--token", operators], {}, /unexpected argument/],
      [["edge", "--help"], { CHORUS_POSTGRES: url }, /CHORUS_POSTGRES/],
      [["monitor", "--help"], { CHORUS_POSTGRES: url }, /CHORUS_KAFKA/],
      [["dev", "--help"], { CHORUS_TOKEN_KEY: operators }, /CHORUS_TOKEN/],
    ]) {
      const process = watch(args, { ...base, ...more });
      await process.ended;
      const name = `chorus ${args[0]} ${Object.keys(more)} ${says}`;
      assert.match(process.output, says, name);
      secrets.see(`the output of ${name}`, process.output);
    }
  } finally {
    database.close();
  }
  nothingIn(secrets);
});
