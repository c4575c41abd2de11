/**
 * Kills `chorus dev` by `kill -9`, again and again, while scripted clients play, and then holds everything they saw
 * against what was promised (`checker.mjs`).
 *
 *     node torture.mjs --games 100 --kills 200 --seed 1 --bin PATH
 *
 * Prints figures; on a violation also the command that plays it again, and exits with 1.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { freePort, Server } from "../server.mjs";
import { check } from "./checker.mjs";
import { Player, Watcher } from "./player.mjs";
import { random } from "./random.mjs";

const { values: flags } = parseArgs({
  options: {
    games: { type: "string", default: "100" },
    kills: { type: "string", default: "200" },
    players: { type: "string", default: "12" },
    watchers: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string", default: "20" },
    fsync: { type: "string" },
    /** Leaves the data directory and history.json here, for `chorus audit`. */
    keep: { type: "string" },
    /** More options of the server, one each. */
    serve: { type: "string", multiple: true, default: [] },
    bin: { type: "string", default: process.env.CHORUS_BIN },
  },
});

/** How long the process lives between two kills. Some are killed before they have printed their address. */
const LIFE_MS = [60, 1600];
const EARLY = 0.1;
const EARLY_MS = [0, 400];
/** After the last kill, the games at hand come to their end within this. */
const FINISH_MS = 60_000;

class Run {
  constructor(url) {
    Object.assign(this, { url, seed: flags.seed, done: false, aborted: false, failures: [], kills: 0, moves: 0 });
    this.ends = new Map();
    this.recoveries = [];
    this.killedAt = null;
  }

  get games() {
    return this.ends.size;
  }

  /** Whether both players know now that the round has ended. */
  seesEnd(name, round) {
    const names = this.ends.get(round) ?? this.ends.set(round, new Set()).get(round);
    return names.add(name).size >= 2;
  }

  /** The first answer after a kill tells how long players had to wait. Kills before it add to one wait. */
  acknowledged() {
    this.moves += 1;
    if (this.killedAt !== null) this.recoveries.push(performance.now() - this.killedAt);
    this.killedAt = null;
  }

  killed() {
    this.kills += 1;
    this.killedAt ??= performance.now();
  }

  fail(what) {
    this.failures.push({ rule: "the run failed", who: "torture", what });
    this.aborted = true;
  }
}

async function main() {
  const data = flags.keep ?? (await mkdtemp(join(tmpdir(), "chorus-torture-")));
  const port = await freePort();
  const args = [...(flags.fsync ? ["--fsync", flags.fsync] : []), ...flags.serve];
  const server = new Server({ bin: flags.bin, data, port, args });
  await server.start();
  const run = new Run(server.url);
  const players = crowd(run);
  const begun = performance.now();
  // An interrupted run must not leave a server behind.
  process.once("SIGINT", () => server.kill9().then(() => process.exit(130)));
  try {
    await runToTheEnd(run, server, players);
  } finally {
    for (const player of players) player.close();
    await (server.running ? server.stop() : null);
  }
  await report(run, players, (performance.now() - begun) / 1000, data);
}

function crowd(run) {
  const many = (count, make) => Array.from({ length: Number(count) }, (_, n) => make(n + 1));
  return [
    ...many(flags.players, (n) => new Player(`player ${n}`, run)),
    ...many(flags.watchers, (n) => new Watcher(`watcher ${n}`, run)),
  ];
}

async function runToTheEnd(run, server, players) {
  const deadline = sleep(Number(flags.minutes) * 60_000, "late", { ref: false });
  const played = Promise.all(players.map((player) => player.play()));
  await Promise.race([killAndPlay(run, server), deadline]);
  if (!run.done && !run.aborted) run.fail(`only ${run.kills} kills and ${run.games} games in ${flags.minutes} minutes`);
  const late = await Promise.race([played, sleep(FINISH_MS, "late", { ref: false })]);
  if (late === "late") run.fail(`still at it ${FINISH_MS} ms after the last kill: ${players.map(where).join(", ")}`);
}

const where = ({ name, client }) =>
  `${name} is ${client.state} in ${client.room?.kind} with ${JSON.stringify(client.room?.view)}`;

/** Until there are enough of both; then the process stays up, and the games at hand end. */
async function killAndPlay(run, server) {
  const dice = random(run.seed, "kills");
  const progress = setInterval(
    () => console.error(`${run.kills} kills, ${run.games} games, ${run.moves} moves`),
    10_000,
  );
  while (!run.aborted && run.kills < Number(flags.kills)) {
    await sleep(dice.between(...LIFE_MS));
    await kill(run, server);
    await startAgain(run, server, dice);
  }
  while (!run.aborted && run.games < Number(flags.games)) await sleep(50);
  clearInterval(progress);
  run.done = !run.aborted;
}

async function kill(run, server) {
  run.killed();
  await server.kill9();
}

async function startAgain(run, server, dice) {
  while (dice.happens(EARLY) && run.kills < Number(flags.kills)) {
    const started = server.start().catch(() => {}); // It is killed before it can say anything, or just after.
    await sleep(dice.between(...EARLY_MS));
    await kill(run, server);
    await started;
  }
  await server.start().catch((error) => run.fail(error.message));
}

// ---- the report ----

async function report(run, players, seconds, data) {
  const history = { players: players.map((player) => player.history()) };
  const violations = [...run.failures, ...check(history)];
  for (const [name, value] of Object.entries(figures(run, players, seconds)))
    console.log(`${name.padEnd(24)} ${value}`);
  if (violations.length === 0 && !flags.keep) return rm(data, { recursive: true, force: true });
  await writeFile(join(data, "history.json"), JSON.stringify({ ...history, violations }));
  if (violations.length === 0) return;
  tell(violations, data);
  process.exitCode = 1;
}

function figures(run, players, seconds) {
  const sum = (of) => players.reduce((total, player) => total + of(player), 0);
  const sends = players.flatMap((player) => player.sends);
  const ends = players.flatMap(({ games }) => games.filter(({ you }) => you === 0).flatMap(({ rounds }) => rounds));
  return {
    seed: run.seed,
    kills: run.kills,
    games: run.games,
    "of them by a turn's end": ends.filter(({ timedOut }) => timedOut).length,
    "moves acknowledged": run.moves,
    "messages sent": sends.length,
    "answer lost (applied)": sends.filter(({ code }) => code === "applied").length,
    resumes: sum(({ client }) => client.resumes),
    resends: sum(({ client }) => client.resends),
    "frames received": sum(({ frames }) => frames.filter(({ out }) => !out).length),
    "whole views that skipped": sum(({ frames }) => skips(frames)),
    "recovery p50": `${quantile(run.recoveries, 0.5)} ms`,
    "recovery p99": `${quantile(run.recoveries, 0.99)} ms`,
    took: `${seconds.toFixed(1)} s`,
  };
}

function skips(frames) {
  const last = new Map();
  let count = 0;
  for (const { out, t, room, seq } of frames) {
    if (out || seq === undefined) continue;
    if (t === "room" && last.has(room) && seq !== last.get(room) + 1) count += 1;
    if (t === "left")
      last.delete(room); // Coming again later skips nothing.
    else last.set(room, seq);
  }
  return count;
}

function quantile(values, share) {
  if (values.length === 0) return "–";
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
}

function tell(violations, data) {
  const MOST = 30;
  console.error(`\n${violations.length} violations:`);
  for (const { rule, who, what } of violations.slice(0, MOST)) console.error(`  ${rule}: ${who}: ${what}`);
  if (violations.length > MOST) console.error(`  … and ${violations.length - MOST} more`);
  const given = Object.entries(flags)
    .flatMap(([name, value]) => (Array.isArray(value) ? value.map((one) => [name, one]) : [[name, value]]))
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `--${name}=${value}`);
  console.error(`\nThe data directory and history.json are kept in ${data}. To play it again:`);
  console.error(`  node chorus/tests/torture/torture.mjs ${given.join(" ")}`);
}

await main();
