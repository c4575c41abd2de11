// Scripted clients on a running server, and what they measure.
//
// A bot is a function of the author's, called once for each client, when that is in its first room. The answers of all messages are timed
// by the clients' clock, from `send` to the reply: what a player waits for.
//
// Bounds: a histogram for each measure, the counts of at most `KINDS` codes and texts of errors, and nothing for each message.

import { setMaxListeners } from "node:events";
import { createRequire } from "node:module";

import { Chorus } from "../../../clients/js/chorus.js";
import { Dice } from "./dice.mjs";
import { Histogram } from "./histogram.mjs";

/** Different texts of errors that are counted; further ones are counted together. */
const KINDS = 32;
const OTHERS = "others";
/** How long the bots have to return once the time is over. */
const GRACE_MS = 5_000;
const NEVER_MS = 2 ** 31 - 1;
const OVER = "the time is over";
/** Calls of the client that end in another room. */
const ENTRANCES = ["joinOrCreate", "join", "create"];

/**
 * Runs `count` bots against the server at `url`, of which `rate` start in a second, for `ms` at most. Resolves with what they measured:
 * see `reportOf`. `signal` ends it early.
 */
export async function runBots(bot, { url, count, rate, ms, seed = 1, options = {}, WebSocket = webSocket(), signal }) {
  const measured = new Measured();
  const over = new AbortController(), late = new AbortController();
  // Each bot listens to both.
  for (const { signal } of [over, late]) setMaxListeners(0, signal);
  let grace;
  const end = () => {
    if (over.signal.aborted) return;
    over.abort(new Error(OVER));
    grace = setTimeout(() => late.abort(), GRACE_MS);
  };
  signal?.addEventListener("abort", end, { once: true });
  const timer = setTimeout(end, ms);
  const begun = performance.now();
  const running = [];
  for (let index = 0; index < count && !over.signal.aborted; index++) {
    running.push(one(bot, { url, index, seed, options, WebSocket, measured, signal: over.signal, late: late.signal }));
    await until(begun + ((index + 1) * 1000) / rate - performance.now(), over.signal);
  }
  await Promise.all(running);
  clearTimeout(timer);
  clearTimeout(grace);
  late.abort();
  return measured.report({ url, bots: running.length, seconds: (performance.now() - begun) / 1000 });
}

async function one(bot, { url, index, seed, options, WebSocket, measured, signal, late }) {
  const client = new Chorus(url, { name: `Bot ${index + 1}`, storage: null, ...options, WebSocket });
  measured.watch(client);
  let closed = null;
  client.on("disconnected", ({ willRetry, code, reason }) => { if (!willRetry) closed = closedBy(code, reason); });
  const tooLate = until(NEVER_MS, late).then(() => true);
  try {
    const room = await firstRoom(client, measured, signal);
    const play = bot({ client, room, index, random: new Dice(seed, index), signal, sleep: (ms) => until(ms, signal) });
    const stopped = await Promise.race([Promise.resolve(play).then(() => false), tooLate]);
    measured.end(stopped || signal.aborted ? "stopped" : "done");
  } catch (error) {
    if (signal.aborted) measured.end("stopped");
    // A call that comes after the close has the client's state as its error, and not the cause.
    else measured.fail(error?.code === "closed" && closed !== null ? closed : error);
  } finally {
    client.close();
  }
}

function firstRoom(client, measured, signal) {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const off = client.on("room", (room) => {
      off();
      measured.joins.add(micros(begun));
      resolve(room);
    });
    client.on("disconnected", ({ willRetry, code, reason }) => {
      if (!willRetry) reject(closedBy(code, reason));
    });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    client.connect();
  });
}

function closedBy(code, reason) {
  return new Error(`the server has closed the connection: ${code} ${reason}`.trimEnd());
}

/** Resolves after a time, or when a signal is aborted. */
function until(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}

class Measured {
  joins = new Histogram();
  entered = new Histogram();
  replies = new Histogram();
  #counts = { done: 0, stopped: 0, failed: 0, refused: 0, events: 0, disconnects: 0 };
  #errors = new Map();
  #failures = new Map();

  /** Has the client's calls timed. */
  watch(client) {
    client.on("disconnected", ({ willRetry }) => { if (willRetry) this.#counts.disconnects += 1; });
    client.on("error", (error) => this.#note(this.#errors, error));
    client.on("room", (room) => {
      if (Object.hasOwn(room, "send")) return;
      room.onEvent(() => { this.#counts.events += 1; });
      room.send = this.#timed(room.send.bind(room), this.replies);
    });
    const send = client.send.bind(client);
    client.send = (type, data) => (client.room ? client.room.send(type, data) : send(type, data));
    for (const name of ENTRANCES) if (typeof client[name] === "function") client[name] = this.#timed(client[name].bind(client), this.entered);
  }

  #timed(call, histogram) {
    return async (...given) => {
      const begun = performance.now();
      try {
        const result = await call(...given);
        histogram.add(micros(begun));
        return result;
      } catch (error) {
        // A refusal is an answer like a reply. What ends with the time is no error.
        if (error?.code === "refused") {
          histogram.add(micros(begun));
          this.#counts.refused += 1;
        } else if (error?.code !== "closed" && error?.message !== OVER) {
          this.#note(this.#errors, error);
        }
        throw error;
      }
    };
  }

  end(how) { this.#counts[how] += 1; }

  fail(error) {
    this.#counts.failed += 1;
    this.#note(this.#failures, error);
  }

  #note(into, error) {
    const text = `${error?.code ? `${error.code}: ` : ""}${error?.message ?? error}`.slice(0, 200);
    const key = into.has(text) || into.size < KINDS ? text : OTHERS;
    into.set(key, (into.get(key) ?? 0) + 1);
  }

  report({ url, bots, seconds }) {
    const times = (histogram) => ({ count: histogram.count, p50Ms: ms(histogram.at(0.5)), p99Ms: ms(histogram.at(0.99)), mostMs: ms(histogram.most) });
    const { failed } = this.#counts;
    return {
      url, bots, seconds: Number(seconds.toFixed(1)), ok: failed === 0 && this.joins.count > 0, ...this.#counts,
      joins: times(this.joins), entered: times(this.entered), replies: times(this.replies),
      errors: Object.fromEntries(this.#errors), failures: Object.fromEntries(this.#failures),
    };
  }
}

function micros(begun) { return Math.round((performance.now() - begun) * 1000); }
function ms(micros) { return Number((micros / 1000).toFixed(micros < 10_000 ? 2 : 0)); }

/** Node before 22 has no WebSocket of its own. */
export function webSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  const require = createRequire(new URL("../../../clients/js/chorus.js", import.meta.url));
  return require("ws").WebSocket;
}

/** The report as a table. */
export function tableOf(report) {
  const { url, bots, seconds, done, stopped, failed, joins, entered, replies, refused, events, disconnects, errors, failures } = report;
  const row = (name, { count, p50Ms, p99Ms, mostMs }) => [name.padEnd(12), ...[count, p50Ms, p99Ms, mostMs].map((n) => n.toLocaleString("en").padStart(10))].join("");
  const listed = (what, counts) => Object.entries(counts).map(([text, count]) => `${what} ${count} × ${text}`);
  return [
    `${bots.toLocaleString("en")} bots on ${url}, ${seconds} s: ${done} done, ${stopped} stopped at the end, ${failed} failed`,
    `${" ".repeat(12)}${["count", "p50 ms", "p99 ms", "most ms"].map((name) => name.padStart(10)).join("")}`,
    row("joins", joins), ...(entered.count > 0 ? [row("entered", entered)] : []), row("replies", replies),
    `${refused.toLocaleString("en")} of the replies are refusals; ${events.toLocaleString("en")} events; ${disconnects} lost connections`,
    ...listed("error:", errors), ...listed("failed:", failures),
    ...(joins.count === 0 && failed === 0 ? [`none has joined: is there a server at ${url}? \`chorus dev\` runs one, and --url names another`] : []),
  ].join("\n");
}
