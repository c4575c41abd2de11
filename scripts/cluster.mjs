// A cluster on this machine: two edges, two hosts, a monitor and a standby, as processes. `just cluster`
//
//     node scripts/cluster.mjs [--edges N] [--hosts N] [--monitors N] [--port 4000] [--brokers HOST:PORT,…] [--postgres URL]
//
// Without addresses of a broker and of PostgreSQL it starts both in a temporary folder, and nothing is kept. With them
// (a database that is there and may be empty; CHORUS_BROKERS and CHORUS_POSTGRES do the same) it goes on where it was.
// Guests are built and published as new versions of their kinds where they have changed. Ctrl-C stops all of it.

import { join } from "node:path";
import { parseArgs } from "node:util";

import { Cluster } from "../chorus/tests/cluster/cluster.mjs";
import { Services } from "../testing/services/services.mjs";

/** As in production, but for what one would wait for when trying things out. */
const TIMING = { heartbeat: 1, deadAfter: 5, handOver: 3, drainOver: 1 };

const MONITOR_PORT = 7400;

const { values: flags } = parseArgs({
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
    // Ctrl-C in a terminal is for this program alone, which stops them in their order.
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

/** What others go on with is left in order. */
async function leave(cluster) {
  for (const machines of [cluster.edges, cluster.hosts, cluster.monitors]) await cluster.retire(machines);
}

await main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
process.exit(); // Whatever else is open.
