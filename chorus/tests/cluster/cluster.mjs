/**
 * A whole cluster as processes of this machine: edges, hosts and monitors over a broker and a PostgreSQL, with a
 * database and topics of its own. It does what an orchestrator does: a machine that ends is started again.
 *
 * Nothing here waits for a time: it is ready when every machine says so (`/readyz`), when every partition is with a
 * host that runs, and when somebody who connects is shown the lobby.
 */

import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { freePort, run } from "../../../testing/services/programs.mjs";
import { Services } from "../../../testing/services/services.mjs";
import { createDatabase } from "./database.mjs";
import { ROOMY } from "../limits.mjs";
import { Machine } from "./machine.mjs";
import { Operator } from "./operator.mjs";
import { seesLobby } from "./probe.mjs";

const DIST = fileURLToPath(new URL("../../../guests/dist", import.meta.url));

/** How patient the cluster is with its machines. Short, so that tests need not wait long for a verdict. */
export const TIMING = { heartbeat: 0.4, deadAfter: 2.5, handOver: 8, drainOver: 0.3 };
const DEFAULTS = {
  edges: 2,
  hosts: 2,
  monitors: 2,
  /** Brokers of its own, and how many have a copy of each record. */
  brokers: 1,
  replication: 1,
  partitions: 8,
  kinds: ["lobby", "tic-tac-toe"],
  /** Another guest in the place of the one of that name, by kind. */
  standIns: {},
  /** More flags of edges and of hosts, and what the n-th host has in its environment besides: `(n, addresses)`. */
  edgeArgs: [],
  hostArgs: [],
  hostEnvironment: async () => ({}),
  /** Where the first edge and the first monitor listen, the others on the ports after it. Free ones if it is not said. */
  edgePort: null,
  monitorPort: null,
  /** A database that is there, and what topics are called; one's own otherwise. */
  database: null,
  prefix: null,
  token: null,
  /** More of Node's options for processes. */
  spawn: {},
};

const READY_MS = 90_000;
const LOOK_MS = 50;
/** Longer than a drain takes at its worst. */
const STOP_MS = 30_000;
/** An orchestrator does not start a machine again in the same moment: what it stumbled on may still be there. */
const BACK_OFF_MS = 200;

export class Cluster {
  services;
  database;
  edges = [];
  hosts = [];
  monitors = [];
  /** Hears how each machine ended that is to run again: `({ machine, id, how, served, output })`. */
  onEnd = null;
  #ownServices = false;
  /** Machines that are to run, each with a token of its watch, so that an earlier watch knows that it is over. */
  #wanted = new Map();

  /** `services`: those that run already, which are not stopped with the cluster. `own`: they will be killed. */
  static async start({ bin = process.env.CHORUS_BIN, services, own = false, ...options } = {}) {
    if (!bin) throw new Error("CHORUS_BIN must name the chorus binary");
    const cluster = new Cluster();
    cluster.options = { ...DEFAULTS, ...options, timing: { ...TIMING, ...options.timing }, bin };
    try {
      cluster.#ownServices = services === undefined;
      const { brokers } = cluster.options;
      cluster.services = services ?? (await Services.start({ postgres: true, kafka: true, brokers, own }));
      await cluster.#begin();
    } catch (error) {
      await cluster.stop().catch(() => {});
      throw error;
    }
    return cluster;
  }

  async #begin() {
    const { edges, hosts, monitors } = this.options;
    const { database } = this.options;
    this.database = database ? { url: database, drop: async () => {} } : await createDatabase(this.services.addresses.postgres);
    this.token = this.options.token ?? randomBytes(16).toString("hex");
    this.prefix = this.options.prefix ?? `chorus-${randomBytes(4).toString("hex")}`;
    await this.chorus("migrate");
    for (let n = 1; n <= monitors; n++) this.monitors.push(await this.#monitor(n));
    for (let n = 1; n <= edges; n++) this.edges.push(await this.#edge(n));
    for (let n = 1; n <= hosts; n++) this.hosts.push(await this.#host(n));
    this.operator = new Operator({ ...this.options, token: this.token, monitors: this.monitors.map(({ url }) => url) });
    await Promise.all(this.machines.map((machine) => this.run(machine)));
    await this.#publish();
    await this.ready();
  }

  // ---- its machines ----

  get machines() {
    return [...this.monitors, ...this.hosts, ...this.edges];
  }

  /** Where players connect. */
  get urls() {
    return this.edges.map(({ url }) => url);
  }

  /** What all of its processes are told. Flags of this suite's own come from outside. */
  get environment() {
    const { heartbeat, deadAfter, handOver, drainOver } = this.options.timing;
    return {
      CHORUS_BROKERS: this.services.addresses.kafka,
      CHORUS_POSTGRES: this.database.url,
      CHORUS_PARTITIONS: String(this.options.partitions),
      CHORUS_REPLICATION: String(this.options.replication),
      CHORUS_TOPIC_PREFIX: this.prefix,
      CHORUS_TOKEN: this.token,
      CHORUS_STATUS: "127.0.0.1:0",
      CHORUS_HEARTBEAT: String(heartbeat),
      CHORUS_DEAD_AFTER: String(deadAfter),
      CHORUS_HAND_OVER: String(handOver),
      CHORUS_DRAIN_OVER: String(drainOver),
    };
  }

  #monitor(n) {
    return this.#listening("monitor", n, this.options.monitorPort, []);
  }

  #edge(n) {
    return this.#listening("edge", n, this.options.edgePort, this.options.edgeArgs);
  }

  async #listening(role, n, port, args) {
    const listen = `127.0.0.1:${port === null ? await freePort() : port + n - 1}`;
    return Object.assign(this.#machine(role, n, ["--listen", listen, ...args]), { url: `http://${listen}` });
  }

  async #host(n) {
    const { hostArgs, hostEnvironment } = this.options;
    const addresses = { brokers: this.services.addresses.kafka, postgres: this.database.url };
    return this.#machine("host", n, hostArgs, await hostEnvironment(n, addresses));
  }

  #machine(role, n, args, environment = {}) {
    const { bin, spawn } = this.options;
    const env = { ...ROOMY, ...process.env, ...this.environment, ...environment };
    return new Machine({ bin, role, name: `${role[0]}${n}`, args, spawn: { ...spawn, env } });
  }

  /** A command that runs to its end with the cluster's addresses; what it printed. */
  chorus(...args) {
    return run(this.options.bin, args, { env: { ...process.env, ...this.environment } });
  }

  async #publish() {
    const manifest = JSON.parse(await readFile(join(DIST, "manifest.json"), "utf8"));
    for (const kind of this.options.kinds) {
      const { active, version } = await this.operator.publish(kind, join(DIST, manifest[this.options.standIns[kind] ?? kind].file));
      if (!active) await this.operator.chorus("swap", kind, "--to", String(version));
    }
  }

  // ---- as an orchestrator ----

  /** Starts it, and starts it again whenever it ends. Resolves when it serves for the first time. */
  async run(machine) {
    const watch = Symbol(machine.name);
    this.#wanted.set(machine, watch);
    await machine.start();
    this.#watch(machine, watch);
  }

  async #watch(machine, watch) {
    const isOver = () => this.#wanted.get(machine) !== watch;
    let served = true;
    for (;;) {
      const { id } = machine;
      const how = await machine.ended;
      if (isOver()) return;
      this.onEnd?.({ machine, id, how, served, output: machine.lifeOutput });
      await sleep(BACK_OFF_MS);
      if (isOver()) return;
      served = await machine.start().then(() => true, () => false);
    }
  }

  /** `kill -9`, all at the same time; they stay away until they are run again. */
  async kill(machines) {
    for (const machine of machines) this.#wanted.delete(machine);
    await Promise.all(machines.map((machine) => machine.kill9()));
  }

  /** In good order, all at the same time; they stay away. Resolves with how each ended. */
  async retire(machines) {
    for (const machine of machines) this.#wanted.delete(machine);
    return Promise.all(machines.map((machine) => machine.terminate(STOP_MS)));
  }

  // ---- as an operator's eyes ----

  /** Resolves when all that runs is ready, and somebody who connects is shown the lobby. */
  async ready() {
    await this.until("to be ready", () => this.#unready());
    await Promise.all(this.urls.map((url) => seesLobby(url, READY_MS)));
  }

  /** Resolves when `ask` gives nothing any more; until then it gives what is missing. */
  async until(what, ask, withinMs = READY_MS) {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const missing = await ask();
      if (!missing) return;
      if (Date.now() > deadline) throw new Error(`the cluster waited in vain ${what}: ${missing}\n${this.lastWords()}`);
      await sleep(LOOK_MS);
    }
  }

  async #unready() {
    for (const machine of this.#wanted.keys()) {
      const { ready, why } = await machine.readiness();
      if (!ready) return `${machine.name}: ${why}`;
    }
    return this.unhosted();
  }

  /** Partitions that are with no host that runs here, if there are any: by the monitor's word and by their hosts' own. */
  async unhosted() {
    const listed = await this.ask("/v1/machines").catch((error) => error);
    if (listed instanceof Error) return listed.message;
    const mine = new Set(this.hosts.filter(({ running }) => running).map(({ id }) => id));
    const hosted = listed.machines.filter(({ id }) => mine.has(id)).flatMap(({ partitions }) => partitions);
    const { partitions } = this.options;
    if (hosted.length < partitions) return `${hosted.length} of ${partitions} partitions are hosted`;
    for (const host of this.hosts.filter(({ running, paused }) => running && !paused)) {
      const given = listed.machines.find(({ id }) => id === host.id)?.partitions ?? [];
      const taken = await host.partitions().catch(({ message }) => message);
      if (`${taken}` !== `${given}`) return `${host.name} is to have the partitions ${given}, and has ${taken}`;
    }
    return null;
  }

  /** The host that has a room now, by the monitor's word. */
  async hostOf(room) {
    const partition = partitionOf(room, this.options.partitions);
    const { machines } = await this.ask("/v1/machines");
    const { id } = machines.find(({ partitions }) => partitions.includes(partition)) ?? {};
    const host = this.hosts.find((host) => host.id === id);
    if (!host) throw new Error(`partition ${partition} is with ${id}, which is none of ours`);
    return host;
  }

  /** A GET of the operators' API, from the first monitor that answers. */
  async ask(path) {
    const headers = { authorization: `Bearer ${this.token}` };
    let failed = new Error("no monitor runs");
    for (const { url } of this.monitors.filter(({ running, paused }) => running && !paused)) {
      try {
        const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(5000) });
        if (answer.ok) return await answer.json();
        failed = new Error(`${path}: ${answer.status} ${await answer.text()}`);
      } catch (error) {
        failed = error;
      }
    }
    throw failed;
  }

  /** What each machine has said last. */
  lastWords() {
    return this.machines.map(({ name, output }) => `---- ${name}\n${output.slice(-2000)}`).join("\n");
  }

  // ---- the end ----

  /** Machines first: what they cannot say any more, they need not. */
  async stop() {
    await this.kill(this.machines);
    await this.database?.drop().catch(() => {}); // The server may be gone already.
    if (this.#ownServices) await this.services?.stop();
  }
}

/** The partition of a room, as `core/src/ids.rs` has it. */
export function partitionOf(room, partitions) {
  const word = createHash("sha256").update(Buffer.from(room, "hex")).digest().readBigUInt64BE();
  return Number(word % BigInt(partitions));
}
