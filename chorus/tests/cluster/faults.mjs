/**
 * Faults of a cluster while games are played: a plan of faults by seed, and how each is injected. The machine and the moment are
 * random too. The machine's work at that moment depends on the run, so two runs of one seed are not identical.
 */

import { setTimeout as sleep } from "node:timers/promises";

import { random } from "../torture/random.mjs";
import { partitionOf } from "./cluster.mjs";

/** The percentage of each kind of fault. Every kind occurs at least once, even in a short plan. */
const SHARES = {
  "host kill": 16,
  "host pause": 12,
  "host stop": 10,
  "edge kill": 12,
  "edge pause": 8,
  "edge stop": 8,
  "monitor kill": 9,
  "monitor pause": 6,
  "monitor stop": 5,
  "broker restart": 7,
  "postgres restart": 7,
};
/** The time between two faults. In most cases the cluster has not yet recovered from the previous one. */
const GAP_MS = [200, 2600];
/** How long a killed service stays down. */
const DOWN_MS = [0, 1500];
/** The time by which a pause exceeds the lease. */
const EXTRA_PAUSE_MS = [200, 3000];
/** How often the hosts of all partitions are looked up. */
const POLL_MS = 400;
/** How long a machine may take to end after a fault, and to serve again. */
const RECOVERY_MS = 60_000;
/** PostgreSQL does not start again before the system has released its shared memory. */
const TRIES = 20;

export class Faults {
  /** The number of faults, by kind. */
  counts = {};
  #dice;
  #pauses = new Set();
  /** The fault that was injected into a machine, by the id of its run. */
  #injected = new Map();
  #hosts = new Map();

  constructor(cluster, run, count) {
    Object.assign(this, { cluster, run, count });
    this.#dice = random(run.seed, "faults");
    cluster.onEnd = (end) => this.#checkEnd(end);
  }

  get total() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  /** Injects all faults, one after the other, then waits until paused machines have continued and the cluster is ready. */
  async all() {
    const watching = setInterval(() => this.#refreshHosts(), POLL_MS);
    const progress = setInterval(() => console.error(`${this.total} faults, ${this.run.games} games, ${this.run.moves} moves`), 10_000);
    try {
      for (const kind of plan(this.count, this.#dice)) {
        if (this.run.aborted) break;
        await sleep(this.#dice.between(...GAP_MS));
        await this.#inject(kind);
        this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      }
      await Promise.all(this.#pauses);
      await this.cluster.ready();
    } catch (error) {
      this.run.fail(error.message);
    } finally {
      clearInterval(watching);
      clearInterval(progress);
    }
  }

  async #inject(kind) {
    const [what, how] = kind.split(" ");
    if (how === "restart") return this.#restart(what, kind);
    const machine = await this.#victim(this.cluster[`${what}s`]);
    this.#injected.set(machine.id, how);
    this.run.affect(this.#affected(machine), kind);
    if (how === "kill") return machine.kill9();
    if (how === "stop") return machine.requestStop();
    this.#pause(machine);
  }

  /** Picks a machine that serves and has no fault: one that is draining, for instance, is not killed. */
  async #victim(machines) {
    const deadline = Date.now() + RECOVERY_MS;
    for (;;) {
      if (Date.now() > deadline) throw new Error(`no machine is left for a fault: ${machines.map((one) => this.#describe(one)).join(", ")}`);
      const whole = machines.filter(({ id, running, paused }) => running && !paused && id !== null && !this.#injected.has(id));
      if (whole.length > 0) return this.#dice.pick(whole);
      await sleep(50);
    }
  }

  #describe({ name, id, running, paused }) {
    return `${name} (${id}, fault: ${this.#injected.get(id) ?? "none"}${running ? "" : ", does not run"}${paused ? ", is paused" : ""})`;
  }

  /** Pauses a machine for longer than its lease, so that the others declare it dead. */
  #pause(machine) {
    const { id } = machine;
    machine.pause();
    const { deadAfter } = this.cluster.options.timing;
    const ended = sleep(deadAfter * 1000 + this.#dice.between(...EXTRA_PAUSE_MS)).then(() => {
      if (machine.id === id) machine.unpause();
      this.#injected.delete(id); // If the others did not notice the pause, the machine continues.
      this.#pauses.delete(ended);
    });
    this.#pauses.add(ended);
  }

  async #restart(what, kind) {
    this.run.affect(this.run.players, kind);
    const service = this.cluster.services[what === "broker" ? "kafka" : what];
    await service.kill(0);
    await sleep(this.#dice.between(...DOWN_MS));
    for (let tries = 1; ; tries++) {
      try {
        return await service.start(0);
      } catch (error) {
        if (tries === TRIES) throw error;
        await sleep(200);
      }
    }
  }

  // ---- the affected players ----

  #affected(machine) {
    const { players } = this.run;
    if (machine.role === "edge") return players.filter(({ url }) => url === machine.url);
    if (machine.role === "monitor") return [];
    const has = (room) => this.#hosts.get(partitionOf(room.id, this.cluster.options.partitions)) === machine.id;
    return players.filter(({ client }) => client.room && has(client.room));
  }

  async #refreshHosts() {
    const { machines } = await this.cluster.get("/v1/machines").catch(() => ({ machines: [] }));
    for (const { id, partitions } of machines) for (const partition of partitions) this.#hosts.set(partition, id);
  }

  // ---- the ends of machines ----

  /** A machine that has served ends because of a fault, or because it was declared dead. Any other end is a violation. */
  #checkEnd({ id, how, served, output }) {
    const fault = this.#injected.get(id);
    const intended = (fault === "kill" && how === "SIGKILL") || (fault === "stop" && how === 0);
    if (!served || intended || output.includes(`${id} was declared dead`)) return;
    this.run.failures.push({ rule: "a machine ended by itself", who: id, what: `with ${how} after ${fault ?? "no fault"}: ${lastLines(output)}` });
  }
}

function lastLines(output) {
  return output.trimEnd().split("\n").slice(-4).join("\n    ");
}

/** This number of faults in the proportions of the table, in random order. */
function plan(count, dice) {
  const kinds = Object.entries(SHARES).flatMap(([kind, share]) => Array(Math.max(1, Math.round((share * count) / 100))).fill(kind));
  for (let n = kinds.length - 1; n > 0; n--) {
    const other = Math.floor(dice.between(0, n + 1));
    [kinds[n], kinds[other]] = [kinds[other], kinds[n]];
  }
  return kinds;
}
