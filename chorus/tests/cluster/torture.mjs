/**
 * Tortures a cluster while scripted clients play: edges, hosts and monitors are killed, paused for longer than the lease,
 * and stopped; the broker and PostgreSQL are killed and started again. Then everything that the players received is checked
 * against the promises (`torture/checker.mjs`) and against the rooms' channels (`chorus audit`).
 *
 *     node torture.mjs --games 100 --faults 200 --seed 1 --bin PATH     (see --help)
 *
 * Prints figures. On a violation it also prints the command that repeats the run, and exits with 1.
 */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { argumentsOf } from "../../../scripts/arguments.mjs";
import { audit } from "../torture/audit.mjs";
import { check } from "../torture/checker.mjs";
import { figures, print, quantile, reportViolations, typed } from "../torture/report.mjs";

const HELP = `Usage: node torture.mjs [options]

Kills, pauses and stops the machines of a cluster, its broker and its PostgreSQL while scripted clients play, then checks
what they received.

  --games N        games to play, at least (default: 100)
  --faults N       faults (default: 200)
  --players N      clients that play (default: 24)
  --watchers N     clients that watch (default: 4)
  --edges N        edges (default: 2)
  --hosts N        hosts (default: 2)
  --seed N         what they do; without it, one is drawn and printed
  --minutes N      gives up after so long (default: 40)
  --bin FILE       the chorus binary [env: CHORUS_BIN]
  --auditor FILE   the chorus binary that audits (default: the same)
`;

const { values: flags } = argumentsOf(HELP, {
  numbers: ["games", "faults", "players", "watchers", "edges", "hosts", "seed", "minutes"],
  options: {
    games: { type: "string", default: "100" },
    faults: { type: "string", default: "200" },
    players: { type: "string", default: "24" },
    watchers: { type: "string", default: "4" },
    edges: { type: "string", default: "2" },
    hosts: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string", default: "40" },
    bin: { type: "string", default: process.env.CHORUS_BIN },
    /** The binary that audits, for runs whose own binary has planted bugs. */
    auditor: { type: "string" },
  },
});
// Loaded after the options are parsed: `--help` works without the packages, which `just torture-cluster` installs.
const { Run } = await import("../torture/run.mjs");
const { Cluster } = await import("./cluster.mjs");
const { Faults } = await import("./faults.mjs");

const number = (name) => Number(flags[name]);
const execute = promisify(execFile);
const MAX_RECORD_BYTES = 64 << 20;
/** `RoomId::LOBBY`. */
const LOBBY = "00000000000000000000000000010bb7";

async function main() {
  const folder = await mkdtemp(join(tmpdir(), "chorus-torture-"));
  // The audit reads the channels from their beginning.
  const hostArgs = ["--keep-log"];
  const cluster = await Cluster.start({ bin: flags.bin, own: true, edges: number("edges"), hosts: number("hosts"), hostArgs });
  try {
    const violations = await torture(cluster, folder);
    if (violations.length === 0) return;
    await writeFile(join(folder, "machines.log"), cluster.machines.map(({ name, output }) => `---- ${name}\n${output}`).join("\n"));
    reportViolations(violations, `history.json, machines.log and the records of these rooms are kept in ${folder}`, `just torture-cluster ${typed(flags)}`);
    process.exitCode = 1;
  } finally {
    await cluster.stop();
    if (!process.exitCode) await rm(folder, { recursive: true, force: true });
  }
}

/** The violations. */
async function torture(cluster, folder) {
  const begun = performance.now();
  const run = new Run({ urls: cluster.urls, seed: flags.seed, players: number("players"), watchers: number("watchers") });
  const faults = new Faults(cluster, run, number("faults"));
  try {
    await run.playThrough(faults.all(), { games: number("games"), minutes: number("minutes") });
  } finally {
    run.close();
  }
  const took = (performance.now() - begun) / 1000;
  print({ seed: run.seed, faults: faults.total, ...byKind(faults, run), ...figures(run), took: `${took.toFixed(1)} s` });
  const history = run.history();
  const file = join(folder, "history.json");
  await writeFile(file, JSON.stringify(history));
  const violations = [...run.failures, ...check(history), ...(await stop(cluster, cluster.edges, cluster.hosts))];
  violations.push(...(await audit(flags.auditor ?? flags.bin, ["--history", file], cluster.environment)));
  await keepRecords(cluster, violations, folder);
  return [...violations, ...(await stop(cluster, cluster.monitors))];
}

/** Saves the records of the lobby, and of each room that a violation names, since they are deleted with the broker. */
async function keepRecords(cluster, violations, folder) {
  if (violations.length === 0) return;
  const named = violations.flatMap(({ what }) => what.match(/\b[0-9a-f]{32}\b/g) ?? []);
  const env = { ...process.env, ...cluster.environment, CHORUS_MONITOR: cluster.monitors[0].url };
  for (const room of new Set([LOBBY, ...named])) {
    const args = ["room", "events", room, "--from", "0", "--content", "--json"];
    const { stdout } = await execute(flags.bin, args, { env, maxBuffer: MAX_RECORD_BYTES }).catch(() => ({ stdout: "" }));
    if (stdout) await writeFile(join(folder, `${room}.records`), stdout); // Without output, the id is a session's.
  }
}

function byKind({ counts }, { recoveries }) {
  const line = ([kind, count]) => {
    const times = recoveries.filter((recovery) => recovery.kind === kind).map(({ ms }) => ms);
    const waits = times.length > 0 ? `, recovery p50 ${quantile(times, 0.5)} ms, p99 ${quantile(times, 0.99)} ms` : "";
    return [`  ${kind}`, `${count}${waits}`];
  };
  return Object.fromEntries(Object.entries(counts).sort().map(line));
}

/** Drains the machines before they end, so that the last stores of the hosts are audited too. */
async function stop(cluster, ...all) {
  const found = [];
  for (const machines of all) {
    const ends = await cluster.retire(machines).catch((error) => [error.message]);
    if (ends.some((how) => how !== 0)) found.push({ rule: "a machine did not stop in order", who: machines[0].role, what: ends.join(", ") });
  }
  return found;
}

await main();
