// Games in play whose server is killed: the time until their rooms answer again, in its parts. For `comeback.mjs`.
//
// `chorus load comeback` plays, and lives through the kill. The parts follow one another:
//   detection  until the killed process has ended and is started again (embedded), or the monitor has given its partitions to
//              another host;
//   reading    until a host has the room's partition: the process has started, and the records since the checkpoint are read;
//   rebuilding until a room answers.

import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Process } from "../../chorus/tests/process.mjs";
import { freePort } from "../../testing/services/programs.mjs";
import { GUESTS, pinned, ROOMY, scratch } from "./servers.mjs";

/** The scenarios, as functions of the binary: what is killed, and the number of games in play. */
export const COMING_BACK = {
  "comeback-4000": (bin) => embedded(bin, atMost(4000)),
  "comeback-10000": (bin) => embedded(bin, atMost(10_000)),
  "takeover-4000": (bin) => takenOver(bin, atMost(4000)),
  "takeover-10000": (bin) => takenOver(bin, atMost(10_000)),
};

/** An instance for each room, and so many more that none hibernates early (a tenth is kept free). */
const instances = (rooms) => ["--max-instances", `${Math.ceil((rooms * 10) / 9) + 64}`];

/** The log lines that the parts are read from. Warnings of other modules are too many to be kept with them. */
const LOG = "error,chorus_host=info,chorus_monitor=info";
const TAKEN = "this host has a partition";
const ASSIGNED = "partitions have new hosts";

const SERVES = /chorus is at (http:\S+)/;
const START_MS = 180_000;
/** The rooms of which no answer came by then count as silent. */
const WITHIN_SECONDS = 120;
/** The time before each move. All games have moved once before the kill. */
const PACE_SECONDS = 10;
const PARTITIONS = 64;
const LOBBY = "00000000000000000000000000010bb7";

/** Each game has two connections, and a process may have only so many files open. */
function atMost(games) {
  const files = Number(spawnSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).stdout);
  return Number.isFinite(files) ? Math.min(games, Math.floor((files - 200) / 2)) : games;
}

/** `chorus dev` is killed, and started again on its data. */
async function embedded(bin, rooms) {
  const port = await freePort();
  const where = ["--port", `${port}`, "--data", join(scratch, `comeback-${rooms}`), "--guests", GUESTS, "--no-watch"];
  const args = ["dev", "--fixtures", "--lobby", "bench-lobby", ...where, ...ROOMY, ...instances(rooms), "--log", LOG];
  const server = new Process(...pinned(0, bin, args));
  await server.start(SERVES, START_MS);
  const players = new Players(bin, `127.0.0.1:${port}`, rooms);
  try {
    await players.inPlay();
    const killed = Date.now();
    const ended = server.kill9();
    players.report("killed");
    await ended;
    const detection = Date.now() - killed;
    await server.start(SERVES, START_MS);
    const figures = await players.figures;
    const reading = times(server.runOutput, TAKEN).map((at) => at - killed - detection);
    return { what: `\`chorus dev\`, ${rooms.toLocaleString("en-US")} games`, detection, reading, figures };
  } finally {
    players.end();
    await server.kill9();
  }
}

/** One of two hosts is killed, and the other takes its partitions over. Players stay connected. */
async function takenOver(bin, rooms) {
  const { Cluster } = await import("../../chorus/tests/cluster/cluster.mjs");
  const { Services } = await import("../../testing/services/services.mjs");
  const services = await Services.start({ postgres: true, kafka: true });
  const log = process.env.CHORUS_LOG;
  process.env.CHORUS_LOG = LOG;
  let cluster = null;
  let players = null;
  try {
    cluster = await Cluster.start({
      bin, services, edges: 1, hosts: 2, monitors: 1, partitions: PARTITIONS,
      kinds: ["lobby", "tic-tac-toe"], standIns: { lobby: "bench-lobby" }, edgeArgs: ROOMY, hostArgs: instances(rooms),
      // The defaults of the commands.
      timing: { heartbeat: 1, deadAfter: 10, handOver: 15 },
    });
    players = new Players(bin, new URL(cluster.urls[0]).host, rooms);
    await players.inPlay();
    const kept = await cluster.hostOf(LOBBY);
    const victim = cluster.hosts.find((host) => host !== kept);
    const partitions = await victim.partitions();
    const killed = Date.now();
    const ended = cluster.kill([victim]);
    players.report(`killed ${partitions} of ${PARTITIONS}`);
    await ended;
    // Players reconnect to their edge, which serves all the time, only if an answer takes too long.
    const figures = { ...(await players.figures), serving: NaN };
    const [monitor] = cluster.monitors;
    const detection = times(monitor.output, ASSIGNED).findLast((at) => at > killed) - killed;
    const reading = times(kept.output, TAKEN).filter((at) => at > killed).map((at) => at - killed - detection);
    return { what: `one of two hosts, ${rooms.toLocaleString("en-US")} games`, detection, reading, figures };
  } finally {
    players?.end();
    await cluster?.stop();
    await services.stop();
    if (log === undefined) delete process.env.CHORUS_LOG;
    else process.env.CHORUS_LOG = log;
  }
}

/** The running `chorus load comeback`. */
class Players {
  #child;
  #lines;

  constructor(bin, address, rooms) {
    const flags = ["--rooms", `${rooms}`, "--pace", `${PACE_SECONDS}`, "--within", `${WITHIN_SECONDS}`];
    const args = ["load", "--url", `ws://${address}/ws`, "--json", "comeback", ...flags];
    this.#child = spawn(...pinned(1, bin, args), { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.once("error", () => {}); // Its output ends too.
    this.#child.stdin.on("error", () => {}); // It may have failed.
    process.once("exit", () => this.end());
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when all games are in play. */
  async inPlay() {
    const line = await this.#line();
    if (line !== "in play") throw new Error(`the players printed ${line}`);
    // Read from here on: it ends by itself.
    this.figures = this.#line().then((json) => JSON.parse(json).figures);
    this.figures.catch(() => {}); // It is awaited later.
  }

  report(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  end() {
    this.#child.kill("SIGKILL");
  }

  async #line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the players have ended without their figures");
    return value;
  }
}

/** The times of the log lines with these words, in milliseconds since 1970. */
function times(output, words) {
  const lines = output.split("\n").filter((line) => line.includes(words));
  return lines.map((line) => Date.parse(/\S+Z/.exec(line)?.[0]));
}
