// A cluster on this machine, as processes: `just cluster`, or `node scripts/cluster.mjs --help`.

import { join } from "node:path";

import { argumentsOf } from "./arguments.mjs";

const HELP = `Usage: node scripts/cluster.mjs [options]

Starts a cluster on this machine: edges, hosts and monitors, each a process. Guests that have changed are built and
published as new versions of their kinds. Ctrl-C stops all of it.

Without a broker and a database it starts both in a temporary folder and keeps nothing. With both (the database must
exist and may be empty) it continues where it was.

  --edges N            edges (default: 2)
  --hosts N            hosts (default: 2)
  --monitors N         monitors; one acts, the others stand by (default: 2)
  --port N             port of the first edge; the others have the next ones (default: 4000)
  --brokers HOST:PORT  the broker, with commas between several [env: CHORUS_BROKERS]
  --postgres URL       the database [env: CHORUS_POSTGRES]
  --bin FILE           the chorus binary (default: the one of \`just build\`)
`;

/** As in production, but with shorter delays when machines fail or drain. */
const TIMING = { heartbeat: 1, deadAfter: 5, handOver: 3, drainOver: 1 };

const MONITOR_PORT = 7400;

const { values: flags } = argumentsOf(HELP, {
  numbers: ["edges", "hosts", "monitors", "port"],
  options: {
    edges: { type: "string", default: "2" },
    hosts: { type: "string", default: "2" },
    monitors: { type: "string", default: "2" },
    port: { type: "string", default: "4000" },
    brokers: { type: "string", default: process.env.CHORUS_BROKERS },
    postgres: { type: "string", default: process.env.CHORUS_POSTGRES },
    bin: { type: "string", default: join(process.env.CARGO_TARGET_DIR ?? "target", "release", "chorus") },
  },
});

// Loaded after the options are parsed: `--help` works without the packages, which `just cluster` installs.
const { Cluster } = await import("../chorus/tests/cluster/cluster.mjs");
const { Services } = await import("../testing/services/services.mjs");

const given = flags.brokers !== undefined && flags.postgres !== undefined;

async function main() {
  const interrupted = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve(null));
  });
  console.log(given ? "1/2  PostgreSQL and a broker are there" : "1/2  starting PostgreSQL and a broker");
  const services = await Services.start({ postgres: !flags.postgres, kafka: !flags.brokers, own: true });
  let cluster = null;
  try {
    console.log("2/2  migrations, monitors, hosts, edges, guests");
    const starting = start({ kafka: flags.brokers, postgres: flags.postgres, ...services.addresses });
    cluster = await Promise.race([starting, interrupted]);
    if (cluster) show(cluster);
    await interrupted;
    console.log("\nstopping …");
    if (cluster && given) await leave(cluster);
  } finally {
    await cluster?.stop();
    await services.stop();
  }
}

function start(addresses) {
  return Cluster.start({
    bin: flags.bin,
    services: { addresses },
    edges: Number(flags.edges),
    hosts: Number(flags.hosts),
    monitors: Number(flags.monitors),
    partitions: 64,
    edgePort: Number(flags.port),
    monitorPort: MONITOR_PORT,
    edgeArgs: ["--page"],
    timing: TIMING,
    database: flags.postgres,
    prefix: process.env.CHORUS_TOPIC_PREFIX ?? "chorus",
    token: process.env.CHORUS_TOKEN,
    // The processes do not receive the terminal's Ctrl-C: this program stops them in order.
    spawn: { detached: true },
  });
}

function show({ urls, monitors, token }) {
  console.log(`
Play at    ${urls.map((url) => `${url}/`).join("  ")}
Operate    export CHORUS_MONITOR=${monitors[0].url} CHORUS_TOKEN=${token}
           ${flags.bin} status
Stop       Ctrl-C`);
}

/** Drains the machines in order, since the given services and their data remain. */
async function leave(cluster) {
  for (const machines of [cluster.edges, cluster.hosts, cluster.monitors]) await cluster.retire(machines);
}

await main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
process.exit(); // Even if a handle is still open.
