/**
 * A whole cluster as processes of this machine: edges, hosts and monitors over a broker and a PostgreSQL, with a
 * database and topics of its own. It acts as an orchestrator: a machine that ends is started again.
 *
 * Nothing here waits for a fixed time: the cluster is ready when every machine reports so (`/readyz`), when every partition is
 * assigned to a running host, and when a new client receives the lobby's view.
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
import { servesLobby } from "./probe.mjs";

const DIST = fileURLToPath(new URL("../../../guests/dist", import.meta.url));

/** The cluster's timing, in seconds. Short, so that tests need not wait long until a machine is declared dead. */
export const TIMING = { heartbeat: 0.4, deadAfter: 2.5, handOver: 8, drainOver: 0.3 };
const DEFAULTS = {
  edges: 2,
  hosts: 2,
  monitors: 2,
  /** The number of brokers of its own, and of copies of each record. */
  brokers: 1,
  replication: 1,
  partitions: 8,
  kinds: ["lobby", "tic-tac-toe"],
  /** By kind, the guest that is published under it instead of the one of that name. */
  standIns: {},
  /** More flags of edges and of hosts, and a function of `(n, addresses)` for more environment variables of the n-th host. */
  edgeArgs: [],
  hostArgs: [],
  hostEnvironment: async () => ({}),
  /** The ports of the first edge and the first monitor; the others have the ports after those. Free ports by default. */
  edgePort: null,
  monitorPort: null,
  /** An existing database and the prefix of its topics; by default, new ones. */
  database: null,
  prefix: null,
  token: null,
  /** More of Node's options for processes. */
  spawn: {},
};

const READY_MS = 90_000;
const POLL_MS = 50;
/** Longer than the longest drain. */
const STOP_MS = 30_000;
/** Like an orchestrator, the cluster waits before a restart: the cause of the failure may still be present. */
const BACK_OFF_MS = 200;

export class Cluster {
  services;
  database;
  edges = [];
  hosts = [];
  monitors = [];
  /** Called with `{ machine, id, how, served, output }` when a machine has ended that will be started again. */
  onEnd = null;
  #ownServices = false;
  /** Machines that should run, each with a token of its watch: a watch with another token is over. */
  #wanted = new Map();

  /** `services`: running services, which are not stopped with the cluster. `own`: new ones, which may be killed. */
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

  // ---- the machines ----

  get machines() {
    return [...this.monitors, ...this.hosts, ...this.edges];
  }

  /** The addresses that players connect to. */
  get urls() {
    return this.edges.map(({ url }) => url);
  }

  /** The environment of all processes. Variables of the test suite itself are inherited. */
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

  /** Runs a command to its end with the cluster's environment, and resolves with its output. */
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

  /** Starts a machine, and starts it again whenever it ends. Resolves when it serves for the first time. */
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
      this.onEnd?.({ machine, id, how, served, output: machine.runOutput });
      await sleep(BACK_OFF_MS);
      if (isOver()) return;
      served = await machine.start().then(() => true, () => false);
    }
  }

  /** `kill -9`, all at the same time. They are not started again until `run`. */
  async kill(machines) {
    for (const machine of machines) this.#wanted.delete(machine);
    await Promise.all(machines.map((machine) => machine.kill9()));
  }

  /** Drains and ends these machines, all at the same time. They are not started again. Resolves with how each ended. */
  async retire(machines) {
    for (const machine of machines) this.#wanted.delete(machine);
    return Promise.all(machines.map((machine) => machine.terminate(STOP_MS)));
  }

  // ---- as an operator ----

  /** Resolves when all running machines are ready, and a new client of each edge receives the lobby's view. */
  async ready() {
    await this.until("to be ready", () => this.#unready());
    await Promise.all(this.urls.map((url) => servesLobby(url, READY_MS)));
  }

  /** Resolves when `missingState` returns null; until then it returns a description of the missing state. */
  async until(what, missingState, withinMs = READY_MS) {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const missing = await missingState();
      if (!missing) return;
      if (Date.now() > deadline) throw new Error(`the cluster timed out waiting ${what}: ${missing}\n${this.lastOutput()}`);
      await sleep(POLL_MS);
    }
  }

  async #unready() {
    for (const machine of this.#wanted.keys()) {
      const { ready, why } = await machine.readiness();
      if (!ready) return `${machine.name}: ${why}`;
    }
    return this.unhosted();
  }

  /** Describes partitions that no running host has, according to the monitor or to the hosts; null when there are none. */
  async unhosted() {
    const listed = await this.get("/v1/machines").catch((error) => error);
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

  /** The host that runs a room now, according to the monitor. */
  async hostOf(room) {
    const partition = partitionOf(room, this.options.partitions);
    const { machines } = await this.get("/v1/machines");
    const { id } = machines.find(({ partitions }) => partitions.includes(partition)) ?? {};
    const host = this.hosts.find((host) => host.id === id);
    if (!host) throw new Error(`partition ${partition} is with ${id}, which is none of ours`);
    return host;
  }

  /** A GET of the operators' API, from the first monitor that answers. */
  async get(path) {
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

  /** The last output of each machine. */
  lastOutput() {
    return this.machines.map(({ name, output }) => `---- ${name}\n${output.slice(-2000)}`).join("\n");
  }

  // ---- the end ----

  /** Machines are killed first, so that none reports that its services are gone. */
  async stop() {
    await this.kill(this.machines);
    await this.database?.drop().catch(() => {}); // The server may be gone.
    if (this.#ownServices) await this.services?.stop();
  }
}

/** The partition of a room, computed as in `core/src/ids.rs`. */
export function partitionOf(room, partitions) {
  const word = createHash("sha256").update(Buffer.from(room, "hex")).digest().readBigUInt64BE();
  return Number(word % BigInt(partitions));
}
