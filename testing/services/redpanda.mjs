/**
 * A Redpanda in place of Apache Kafka: one broker or several, with its defaults, so that acknowledged records are on the
 * disk. Its binary is not available everywhere, so it is used only where `CHORUS_TEST_REDPANDA` names it.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { Brokers } from "./brokers.mjs";
import { freePorts, start } from "./programs.mjs";

/** Small rather than fast; several of them share a core and the machine's asynchronous I/O. */
const FLAGS = ["--smp=1", "--memory=1G", "--overprovisioned", "--reserve-memory=0M", "--lock-memory=false"];
const QUIET = ["--default-log-level=warn", "--max-networking-io-control-blocks=1000"];

export class Redpanda extends Brokers {
  #program;

  static async start(program, folder, count = 1) {
    const redpanda = new Redpanda();
    redpanda.#program = program;
    const ports = await freePorts(3 * count);
    const place = (n) => join(folder, `redpanda-${n}`);
    const nodes = Array.from({ length: count }, (_, n) => ({ n, port: ports[n], rpc: ports[count + n], admin: ports[2 * count + n] }));
    redpanda.all = nodes.map((node) => ({ ...node, config: join(place(node.n), "redpanda.yaml"), child: null }));
    await Promise.all(redpanda.all.map((broker) => redpanda.#configure(broker)));
    await redpanda.startAll();
    return redpanda;
  }

  run({ config }) {
    return start(this.#program, ["--redpanda-cfg", config, "--unsafe-bypass-fsync=false", ...FLAGS, ...QUIET]);
  }

  async #configure(broker) {
    const folder = dirname(broker.config);
    await mkdir(join(folder, "data"), { recursive: true });
    await writeFile(broker.config, JSON.stringify({ redpanda: node(broker, this.all, join(folder, "data")) }));
    await writeFile(join(folder, ".bootstrap.yaml"), JSON.stringify(cluster(this.replication)));
  }
}

/** The configuration of one broker. It is written as JSON, which is valid YAML. */
function node({ n, port, rpc, admin }, all, data) {
  const at = (port) => ({ address: "127.0.0.1", port });
  return {
    data_directory: data,
    node_id: n,
    // Skips the checks of the machine, and allows more restarts in a row than occur in production.
    developer_mode: true,
    rpc_server: at(rpc),
    advertised_rpc_api: at(rpc),
    kafka_api: [at(port)],
    advertised_kafka_api: [at(port)],
    admin: [at(admin)],
    ...(all.length > 1 ? { empty_seed_starts_cluster: false } : {}),
    seed_servers: all.length > 1 ? all.map(({ rpc }) => ({ host: at(rpc) })) : [],
  };
}

/** The cluster's configuration, read at the first start: the defaults, without the reports of metrics. */
function cluster(replicas) {
  return { enable_metrics_reporter: false, internal_topic_replication_factor: replicas };
}
