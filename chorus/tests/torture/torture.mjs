/**
 * Kills `chorus dev` by `kill -9`, again and again, while scripted clients play. Then everything that they received is checked
 * against the promises (`checker.mjs`) and against the rooms' channels (`chorus audit`). `cluster/torture.mjs` does the same
 * for a cluster.
 *
 *     node torture.mjs --games 100 --kills 200 --seed 1 --bin PATH     (see --help)
 *
 * Prints figures. On a violation it also prints the command that repeats the run, and exits with 1.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { argumentsOf } from "../../../scripts/arguments.mjs";
import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { audit } from "./audit.mjs";
import { check } from "./checker.mjs";
import { random } from "./random.mjs";
import { figures, print, reportViolations, typed } from "./report.mjs";

const HELP = `Usage: node torture.mjs [options]

Kills \`chorus dev\` by kill -9 while scripted clients play, then checks what they received.

  --games N        games to play, at least (default: 100)
  --kills N        kills (default: 200)
  --players N      clients that play (default: 12)
  --watchers N     clients that watch (default: 2)
  --seed N         what they do; without it, one is drawn and printed
  --minutes N      gives up after so long (default: 20)
  --fsync MODE     as of \`chorus dev\`
  --serve OPTION   one more option of \`chorus dev\`; may be repeated
  --keep DIR       leaves the data directory and history.json here
  --bin FILE       the chorus binary [env: CHORUS_BIN]
`;

const { values: flags } = argumentsOf(HELP, {
  numbers: ["games", "kills", "players", "watchers", "seed", "minutes"],
  options: {
    games: { type: "string", default: "100" },
    kills: { type: "string", default: "200" },
    players: { type: "string", default: "12" },
    watchers: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string", default: "20" },
    fsync: { type: "string" },
    /** Keeps the data directory and history.json here, for `chorus audit`. */
    keep: { type: "string" },
    /** A further option of the server; may be repeated. */
    serve: { type: "string", multiple: true, default: [] },
    bin: { type: "string", default: process.env.CHORUS_BIN },
  },
});

// Loaded after the options are parsed: `--help` works without the packages, which `just torture` installs.
const { Run } = await import("./run.mjs");

/** How long the process runs between two kills. Some processes are killed before they have printed their address. */
const LIFE_MS = [60, 1600];
const EARLY = 0.1;
const EARLY_MS = [0, 400];

async function main() {
  const data = flags.keep ?? (await mkdtemp(join(tmpdir(), "chorus-torture-")));
  const port = await freePort();
  // The audit reads the channels from their beginning.
  const args = ["--keep-log", ...(flags.fsync ? ["--fsync", flags.fsync] : []), ...flags.serve];
  const server = new Server({ bin: flags.bin, data, port, args });
  await server.start();
  const begun = performance.now();
  const run = new Run({ urls: [server.url], seed: flags.seed, players: Number(flags.players), watchers: Number(flags.watchers), asOne: true });
  const kills = new Kills(run, server);
  // An interrupted run must not leave a server behind.
  process.once("SIGINT", () => server.kill9().then(() => process.exit(130)));
  try {
    await run.playThrough(kills.all(), { games: Number(flags.games), minutes: Number(flags.minutes) });
  } finally {
    run.close();
    await (server.running ? server.stop() : null);
  }
  print({ seed: run.seed, kills: kills.count, ...figures(run), took: `${((performance.now() - begun) / 1000).toFixed(1)} s` });
  await checkRun(run, data);
}

/** All kills of a run, one after the other. Between two kills the process runs for a while. */
class Kills {
  count = 0;
  #dice;

  constructor(run, server) {
    Object.assign(this, { run, server });
    this.#dice = random(run.seed, "kills");
  }

  async all() {
    const progress = setInterval(() => console.error(`${this.count} kills, ${this.run.games} games, ${this.run.moves} moves`), 10_000);
    while (!this.#enough) {
      await sleep(this.#dice.between(...LIFE_MS));
      await this.#kill();
      await this.#startAgain();
    }
    clearInterval(progress);
  }

  get #enough() {
    return this.run.aborted || this.count >= Number(flags.kills);
  }

  async #kill() {
    this.count += 1;
    this.run.affect(this.run.players, "kill");
    await this.server.kill9();
  }

  async #startAgain() {
    while (!this.#enough && this.#dice.happens(EARLY)) {
      const started = this.server.start().catch(() => {}); // It is killed before it prints its address, or just after.
      await sleep(this.#dice.between(...EARLY_MS));
      await this.#kill();
      await started;
    }
    await this.server.start().catch((error) => this.run.fail(error.message));
  }
}

async function checkRun(run, data) {
  const history = run.history();
  const file = join(data, "history.json");
  const violations = [...run.failures, ...check(history)];
  await writeFile(file, JSON.stringify({ ...history, violations }));
  violations.push(...(await audit(flags.bin, ["--data", data, "--history", file])));
  if (violations.length > 0) {
    reportViolations(violations, `The data directory and history.json are kept in ${data}`, `just torture ${typed(flags)}`);
    process.exitCode = 1;
  } else if (!flags.keep) await rm(data, { recursive: true, force: true });
}

await main();
