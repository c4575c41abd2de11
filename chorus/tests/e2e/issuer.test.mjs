// An issuer of tokens that publishes its keys over TLS, by an authority of its own: which tokens are taken, a key that is rotated,
// and a game that outlasts its players' tokens. Not for a cluster. Certificates are made by `openssl`.

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign as signWith } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { Chorus } from "../../../clients/js/chorus.js";
import { findOrInstall, freePort, run, which } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { DRAW } from "./player.mjs";
import { Raw } from "./raw.mjs";

const ISSUER = "https://id.example", AUDIENCE = "game";
/** How long the tokens of players in a game last, in seconds. Clients are asked for the next one after half of it. */
const LASTS = 3;
/** An edge fetches keys at most this often: `MIN_FETCH_INTERVAL_MS` in core/src/identity/refresh.rs. */
const FETCH_INTERVAL_MS = 10_000;
const WAIT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "issuer-"));
const path = (name) => join(folder, name);

/** An issuer's key: RS256 under an id. */
class Key {
  constructor(id) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    Object.assign(this, { id, publicKey, privateKey });
  }

  get jwk() {
    return { ...this.publicKey.export({ format: "jwk" }), kid: this.id, use: "sig", alg: "RS256" };
  }

  token(more = {}) {
    return this.signed({ alg: "RS256", kid: this.id }, { ...claims(), ...more });
  }

  signed(header, payload) {
    return assembled(header, payload, (data) => signWith("RSA-SHA256", data, this.privateKey));
  }
}

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const seconds = () => Math.floor(Date.now() / 1000);
const claims = () => ({ iss: ISSUER, aud: AUDIENCE, sub: "42", name: "Ana", exp: seconds() + 600 });

function assembled(header, payload, signature) {
  const data = `${base64(header)}.${base64(payload)}`;
  return `${data}.${signature(Buffer.from(data)).toString("base64url")}`;
}

const first = new Key("first"), second = new Key("second");
let issuer, server;
/** The keys that are published, and when they were fetched last. */
let published = [first], fetched = 0, fetches = 0;

before(async () => {
  await certify();
  const certificate = { key: readFileSync(path("key.pem")), cert: readFileSync(path("certificate.pem")) };
  issuer = createServer(certificate, (_, response) => {
    [fetched, fetches] = [Date.now(), fetches + 1];
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) }));
  });
  issuer.listen(0, "127.0.0.1");
  await once(issuer, "listening");
  process.env.SSL_CERT_FILE = path("authority.pem");
  server = await started();
});
after(async () => {
  await server?.stop();
  issuer?.close();
  issuer?.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

async function started() {
  const args = ["--token-jwks", `https://localhost:${issuer.address().port}/keys`, "--token-issuer", ISSUER];
  return Server.start({ port: await freePort(), args: [...args, "--token-audience", AUDIENCE, "--token-skew", "0"] });
}

/** An authority, a certificate of `localhost` by it, and another authority. */
async function certify() {
  await findOrInstall("OpenSSL", async () => which("openssl"), ["openssl"], "leave this test out");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const openssl = (...args) => run("openssl", args, { cwd: folder });
  for (const name of ["authority", "stranger"]) {
    await openssl("req", "-x509", ...key, "-days", "2", "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.pem`);
  }
  writeFileSync(path("names"), "subjectAltName=DNS:localhost\n");
  await openssl("req", ...key, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem");
  const by = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"];
  await openssl("x509", "-req", "-in", "request.pem", ...by, "-days", "2", "-extfile", "names", "-out", "certificate.pem");
}

async function hello(token, to = server) {
  const client = await Raw.connect(to.url);
  return client.send({ t: "hello", token });
}

test("a token of the issuer is taken, and one that anybody else could have made is not", { timeout: 120_000 }, async () => {
  const taken = await hello(first.token());
  assert.equal((await taken.frame("welcome")).player, "u:42");
  taken.terminate();

  const [header, payload, signature] = first.token().split(".");
  const pem = first.publicKey.export({ type: "spki", format: "pem" });
  const confused = (secret) => assembled({ alg: "HS256", kid: "first" }, claims(), (data) => createHmac("sha256", secret).update(data).digest());
  const none = (alg) => `${base64({ alg, kid: "first" })}.${base64(claims())}.`;
  const stranger = new Key("first");
  const REFUSED = {
    "another payload": `${header}.${base64({ ...claims(), sub: "43" })}.${signature}`,
    "another signature": `${header}.${payload}.${first.token({ sub: "43" }).split(".")[2]}`,
    "no signature": `${header}.${payload}.`,
    "a stranger's key under the same id": stranger.token(),
    "a stranger's key under another id": new Key("other").token(),
    "a stranger's key in the header": stranger.signed({ alg: "RS256", jwk: stranger.jwk }, claims()),
    "expired": first.token({ exp: seconds() - 1 }),
    "without an expiry": first.token({ exp: undefined }),
    "not valid yet": first.token({ nbf: seconds() + 600 }),
    "another audience": first.token({ aud: "shop" }),
    "no audience": first.token({ aud: undefined }),
    "another issuer": first.token({ iss: "https://evil.example" }),
    "alg none": none("none"),
    "alg None": none("None"),
    "alg none with a signature": `${base64({ alg: "none", kid: "first" })}.${payload}.${signature}`,
    "the public key as a secret, in PEM": confused(pem),
    "the public key as a secret, trimmed": confused(pem.trim()),
    "the public key as a secret, in DER": confused(first.publicKey.export({ type: "spki", format: "der" })),
    "the public key as a secret, as a JWK": confused(JSON.stringify(first.jwk)),
    "the modulus as a secret": confused(Buffer.from(first.jwk.n, "base64url")),
  };
  for (const [what, token] of Object.entries(REFUSED)) {
    const end = await (await hello(token)).closed();
    assert.equal(end.code, 4501, `${what}: ${end.code} ${end.reason}`);
  }
});

test("keys from a server whose certificate is not trusted are not used: clients come again", { timeout: 120_000 }, async () => {
  process.env.SSL_CERT_FILE = path("stranger.pem");
  const before = fetches;
  const stranger = await started().finally(() => (process.env.SSL_CERT_FILE = path("authority.pem")));
  try {
    assert.equal((await (await hello(first.token(), stranger)).closed()).code, 4010);
    assert.equal(fetches, before);
  } finally {
    await stranger.stop();
  }
});

/** A player whose client gets each token from `token`, and what it has received. */
class Account {
  frames = [];
  renewals = 0;
  connections = 0;
  #changed = () => {};

  constructor(subject, token) {
    const options = { WebSocket, storage: null, getToken: () => token({ sub: subject, name: subject, exp: seconds() + LASTS }) };
    this.client = new Chorus(`${server.url}/ws`, options);
    this.client.on("frame", ({ out, frame }) => {
      if (!out) this.frames.push(frame);
      queueMicrotask(() => this.#changed());
    });
    this.client.on("renewed", () => (this.renewals += 1));
    this.client.on("connected", () => (this.connections += 1));
    this.client.connect();
  }

  get view() {
    return this.client.room?.view;
  }

  async until(what, condition) {
    const deadline = Date.now() + WAIT_MS;
    while (!condition()) {
      const left = deadline - Date.now();
      assert.ok(left > 0, `in vain: ${what}; ${JSON.stringify([this.client.state, this.view, this.renewals])}`);
      await new Promise((resolve) => {
        const late = setTimeout(resolve, Math.min(left, 1_000));
        this.#changed = () => (clearTimeout(late), resolve());
      });
    }
  }

  async nextToken() {
    const before = this.renewals;
    await this.until("the next token", () => this.renewals > before);
  }

  /** Every frame of every room, once and in order. */
  assertComplete() {
    const { gaps, duplicates, resumes } = this.client;
    assert.deepEqual([gaps, duplicates, resumes, this.connections], [0, 0, 0, 1]);
    const last = new Map();
    for (const { t, room, seq } of this.frames.filter(({ seq }) => seq !== undefined)) {
      // A whole view may have any higher number.
      if (t === "room") assert.ok(seq > (last.get(room) ?? 0), `${seq} of room ${room}`);
      else assert.equal(seq, last.get(room) + 1, `of room ${room}`);
      last.set(room, seq);
    }
  }
}

test("a game outlasts its players' tokens and the issuer's key, and no frame is lost", { timeout: 240_000 }, async (t) => {
  let key = first;
  const players = ["ana", "bo"].map((subject) => new Account(subject, (more) => key.token(more)));
  t.after(() => players.forEach(({ client }) => client.close()));
  for (const player of players) {
    await player.until("the lobby", () => player.client.room?.kind === "lobby");
    await player.client.send("joinOrCreate", { kind: "tic-tac-toe" });
  }
  for (const player of players) await player.until("the game", () => player.client.room?.kind === "tic-tac-toe");
  const byTurn = players[0].view.turn === players[0].view.you ? players : [...players].reverse();

  // Each move is made with another token than the mover's one before.
  for (const [n, cell] of DRAW.entries()) {
    const mover = byTurn[n % 2];
    await mover.nextToken();
    if (n === 4) {
      while (Date.now() < fetched + FETCH_INTERVAL_MS + 500) await mover.nextToken();
      [key, published] = [second, [second]];
      for (const player of players) await player.nextToken();
    }
    assert.deepEqual(await mover.client.send("move", { cell }), {});
    for (const player of players) await player.until(`a mark on ${cell}`, () => player.view.board[cell] !== null);
  }
  for (const player of players) {
    assert.equal(player.view.winner, "draw");
    player.assertComplete();
  }
  assert.equal((await (await hello(first.token())).closed()).code, 4501, "the old key was withdrawn");
  const withNew = await hello(second.token());
  await withNew.frame("welcome");
  withNew.terminate();
});
