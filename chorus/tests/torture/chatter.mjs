/**
 * Torture without a game: clients in one room that draws lots, sets timers and broadcasts all of it. They send messages
 * without waiting for answers, and lose their connections (also without closing them, as a phone does when it changes its
 * network). The process is killed, and restarted with the same or another component for the room.
 *
 *     node chatter.mjs --bin PATH --keep DIR [--kills 4] [--talkers 8] [--unanswered 12] [--life MS] [--swaps] [--seed 1]
 *                      [--serve OPTION …]
 *
 * Events that are rare in games are frequent here: frames that arrive twice, timers, snapshots, swaps. Only `chorus audit` can
 * check the whole result, so the data directory and history.json are kept in DIR. Exits with 1 when the checker finds anything.
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "../../../scripts/arguments.mjs";
import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { check } from "./checker.mjs";
import { random } from "./random.mjs";

const HELP = `Usage: node chatter.mjs --bin FILE --keep DIR [options]

Clients that send without pause to a room while \`chorus dev\` is killed. DIR keeps the data directory and history.json, for
\`chorus audit\`.

  --kills N        kills (default: 4)
  --talkers N      clients (default: 8)
  --unanswered N   messages of each client without an answer at a time (default: 12)
  --life MS        how long the process lives between two kills, about (default: 1000)
  --swaps          swaps the room's script meanwhile
  --seed N         what the clients do (default: 1)
  --serve OPTION   one more option of \`chorus dev\`; may be repeated
  --keep DIR       where the data directory and history.json are left
  --bin FILE       the chorus binary [env: CHORUS_BIN]
`;

const { values: flags } = argumentsOf(HELP, {
  numbers: ["kills", "talkers", "unanswered", "life", "seed"],
  options: {
    kills: { type: "string", default: "4" },
    talkers: { type: "string", default: "8" },
    /** The number of messages that a talker has in flight. With hundreds, the room lags by seconds. */
    unanswered: { type: "string", default: "12" },
    /** The average time between two kills. */
    life: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    swaps: { type: "boolean", default: false },
    keep: { type: "string" },
    serve: { type: "string", multiple: true, default: [] },
    bin: { type: "string", default: process.env.CHORUS_BIN },
  },
});

// Loaded after the options are parsed: `--help` works without the packages, which `just planted` installs.
const { Player } = await import("./player.mjs");

const GUESTS = fileURLToPath(new URL("../../../guests", import.meta.url));
/** The kind of the room that all clients are in. */
const KIND = "chance-and-time";
const LIFE_MS = [0.5 * flags.life, 1.5 * flags.life];
const PAUSE_MS = [0, 8];
const LOST = 0.01;
/** The deadline for the last answers after the last kill. */
const FINISH_MS = 30_000;

/** Sends messages to the room, and sometimes loses its connection. */
class Talker extends Player {
  async play() {
    const unanswered = new Set();
    while (!this.run.done && !this.run.aborted) {
      await sleep(this.dice.between(...PAUSE_MS));
      const { room } = this.client;
      if (!room || unanswered.size >= Number(flags.unanswered)) continue;
      const answered = this.send(room, ...this.#words()).then(() => unanswered.delete(answered));
      unanswered.add(answered);
      if (this.dice.happens(LOST)) this.#lose();
    }
    await Promise.all(unanswered);
  }

  #words() {
    return this.dice.pick([["draw"], ["luck"], ["deal"], ["later", 30]]);
  }

  /** Loses the connection. The server sees its end, or does not: then the next connection replaces it. */
  #lose() {
    if (this.dice.happens(0.5)) return this.socket.terminate();
    // Nothing of it arrives any more: an answer to a ping would show the server that this client has its token.
    this.socket.pause();
    this.socket.onclose?.({ code: 1006, reason: "" });
  }
}

async function main() {
  const guests = join(flags.keep, "guests");
  await copyGuests(guests);
  const port = await freePort();
  const args = ["--guests", guests, "--fixtures", "--lobby", KIND, "--rate", "100000", "--keep-log", ...flags.serve];
  const server = new Server({ bin: flags.bin, data: flags.keep, port, args });
  await server.start();
  process.once("SIGINT", () => server.kill9().then(() => process.exit(130)));
  const run = new Run(server.url);
  const talkers = Array.from({ length: Number(flags.talkers) }, (_, n) => new Talker(`talker ${n + 1}`, run));
  const talked = Promise.all(talkers.map((talker) => talker.play()));
  await killAndTalk(run, server, guests);
  run.done = true;
  const late = await Promise.race([talked, sleep(FINISH_MS, "late", { ref: false })]);
  if (late === "late") run.fail(`some still wait for answers, ${FINISH_MS} ms after the last kill`);
  for (const talker of talkers) talker.close();
  await server.stop();
  await report(run, talkers);
}

class Run {
  constructor(url) {
    Object.assign(this, { urls: [url], seed: flags.seed, done: false, aborted: false, failures: [] });
  }

  answered() {}

  fail(what) {
    this.failures.push({ rule: "the run failed", who: "chatter", what });
    this.aborted = true;
  }
}

async function killAndTalk(run, server, guests) {
  const dice = random(run.seed, "kills");
  for (let kills = 0; kills < Number(flags.kills) && !run.aborted; kills += 1) {
    await sleep(dice.between(...LIFE_MS));
    await server.kill9();
    if (flags.swaps) await anotherComponent(guests, kills);
    await server.start().catch((error) => run.fail(error.message));
  }
  await sleep(dice.between(...LIFE_MS));
}

/** Links the guests and their components, with a manifest of its own. */
async function copyGuests(to) {
  await mkdir(join(to, "dist"), { recursive: true });
  const link = (from, names) =>
    Promise.all(names.map((name) => symlink(join(from, name), join(to, from === GUESTS ? name : join("dist", name)))));
  const others = (await readdir(GUESTS)).filter((name) => name !== "dist");
  const components = (await readdir(join(GUESTS, "dist"))).filter((name) => name.endsWith(".wasm"));
  await link(GUESTS, others);
  await link(join(GUESTS, "dist"), components);
  await writeFile(join(to, "dist/manifest.json"), await readFile(join(GUESTS, "dist/manifest.json")));
}

/** Replaces the component by the same script with another digest: it has an additional custom section. */
async function anotherComponent(guests, number) {
  const path = join(guests, "dist/manifest.json");
  const manifest = JSON.parse(await readFile(path, "utf8"));
  const entry = manifest[KIND];
  const name = Buffer.from(`version ${number}`);
  const section = Buffer.concat([Buffer.from([0, name.length + 1, name.length]), name]);
  const wasm = Buffer.concat([await readFile(join(guests, "dist", entry.file)), section]);
  const digest = createHash("sha256").update(wasm).digest("hex");
  manifest[KIND] = { ...entry, digest, file: `${KIND}-${digest.slice(0, 12)}.wasm` };
  await writeFile(join(guests, "dist", manifest[KIND].file), wasm);
  await writeFile(path, JSON.stringify(manifest));
}

async function report(run, talkers) {
  const history = { players: talkers.map((talker) => talker.history()) };
  const violations = [...run.failures, ...check(history)];
  await writeFile(join(flags.keep, "history.json"), JSON.stringify({ ...history, violations }));
  const count = (of) => talkers.reduce((sum, talker) => sum + of(talker), 0);
  console.log(`messages ${count(({ sends }) => sends.length)}, frames ${count(({ frames }) => frames.length)}`);
  console.log(`resumes ${count(({ client }) => client.resumes)}, duplicates ${count(({ client }) => client.duplicates)}`);
  for (const { rule, who, what } of violations.slice(0, 20)) console.error(`  ${rule}: ${who}: ${what}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

await main();
