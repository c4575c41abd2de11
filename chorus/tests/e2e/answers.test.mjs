// Connections are lost and servers are killed; each message still has exactly one answer.
//
// A client that follows the protocol to the letter goes through random orders of messages, losses, silences, resumes and
// `kill -9`. It sends unanswered messages again; sometimes it reuses an old id, as a client does that counts from 1 again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { SilentProxy } from "../silent.mjs";
import { WAIT_MS } from "./player.mjs";

const SEEDS = (process.env.SEEDS ?? "1,2,3").split(",").map(Number);
const STEPS = 120;
const KILLS = 2;
let server, proxy;

before(async () => {
  server = await Server.start({ port: await freePort(), args: ["--fixtures", "--lobby", "echo", "--rate", "1000", "--ping", "1"] });
  proxy = await SilentProxy.before(server.url);
});
after(async () => {
  proxy?.close();
  await server?.stop();
});

for (const seed of SEEDS) {
  test(`each message has one answer, seed ${seed} (SEEDS=${seed} node --test chorus/tests/e2e/answers.test.mjs)`, { timeout: 180_000 }, async () => {
    const random = mulberry(seed);
    const client = new Client(proxy.url);
    await client.connect();
    const kills = new Set(Array.from({ length: KILLS }, () => Math.floor(random() * STEPS)));
    for (let step = 0; step < STEPS; step++) {
      const dice = random();
      if (kills.has(step)) {
        if (dice < 0.5) client.say();
        await server.kill9();
        await server.start();
        await client.connect();
      } else if (dice < 0.55) client.say();
      else if (dice < 0.65) client.sayAgain();
      else if (dice < 0.75) await client.allAnswered();
      else if (dice < 0.87) {
        client.cut();
        await client.connect(random() < 0.3);
      } else if (dice < 0.95) {
        proxy.silence();
        client.say();
        await client.connect(random() < 0.3);
      } else await client.turn();
    }
    await client.allAnswered();
    // A second answer to an earlier message would arrive before the answer to this one.
    client.say();
    await client.allAnswered();
    const wrong = [...client.answers].filter(([, count]) => count !== 1);
    assert.deepEqual(wrong, [], "[id, answers]");
    assert.equal(client.answers.size, client.lastId);
    client.cut();
  });
}

class Client {
  answers = new Map();
  lastId = 0;
  #socket = null;
  #resume;
  #seen = new Map();
  #unanswered = new Map();
  /** Old ids that were reused on this connection, and answered ids that may be reused. */
  #again = new Set();
  #settled = [];
  #changed = () => {};

  constructor(url) {
    this.url = `${url.replace(/^http/, "ws")}/ws`;
  }

  say() {
    const id = ++this.lastId;
    const frame = { t: "msg", id, type: "echo", data: id };
    this.#unanswered.set(id, frame);
    this.#send(frame);
  }

  sayAgain() {
    const id = this.#settled.shift();
    if (id === undefined || this.#again.size > 0) return;
    this.#again.add(id);
    this.#send({ t: "msg", id, type: "echo", data: "again" });
  }

  cut() {
    this.#socket.terminate();
  }

  /** Resumes over a new connection, with its `last` or, when `empty`, as a client that has lost it. */
  async connect(empty = false) {
    const deadline = Date.now() + WAIT_MS;
    this.#again.clear();
    while (!(await this.#tryToConnect(empty))) {
      assert.ok(Date.now() < deadline, "no connection");
      await this.turn(20);
    }
    this.#settled = [...this.answers.keys()].filter((id) => !this.#unanswered.has(id));
    for (const frame of this.#unanswered.values()) this.#send(frame);
  }

  async #tryToConnect(empty) {
    const socket = new WebSocket(this.url, "v1.json.chorus");
    this.#socket = socket;
    const welcomed = new Promise((resolve) => {
      socket.on("open", () => {
        const last = empty ? {} : { last: Object.fromEntries(this.#seen) };
        socket.send(JSON.stringify({ t: "hello", ...(this.#resume ? { resume: this.#resume, ...last } : {}) }));
      });
      socket.on("message", (text) => {
        if (socket !== this.#socket) return;
        const frame = JSON.parse(text);
        if (frame.t === "welcome") {
          assert.equal(frame.recovered, this.#resume !== undefined);
          this.#resume = frame.resume;
          resolve(true);
        } else this.#take(frame);
      });
      socket.on("close", () => resolve(false));
      socket.on("error", () => {});
    });
    return welcomed;
  }

  #take(frame) {
    if (frame.seq !== undefined) this.#seen.set(frame.room, frame.seq);
    const { id } = frame;
    if ((frame.t === "reply" || frame.t === "error") && id !== undefined) {
      if (this.#again.delete(id)) assert.match(frame.code, /^(applied|stale_id)$/, JSON.stringify(frame));
      else {
        this.answers.set(id, (this.answers.get(id) ?? 0) + 1);
        this.#unanswered.delete(id);
      }
    }
    this.#changed();
  }

  #send(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  async allAnswered() {
    const deadline = Date.now() + WAIT_MS;
    while (this.#unanswered.size + this.#again.size > 0) {
      const left = deadline - Date.now();
      assert.ok(left > 0, `no answer to ${[...this.#unanswered.keys(), ...this.#again]}`);
      if (this.#socket.readyState !== WebSocket.OPEN) await this.connect();
      await this.turn(left);
    }
  }

  /** Resolves when a frame arrives or the time is over. */
  turn(ms = 5) {
    return new Promise((resolve) => {
      const late = setTimeout(resolve, Math.min(ms, 1_000));
      this.#changed = () => (clearTimeout(late), resolve());
    });
  }
}

function mulberry(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
