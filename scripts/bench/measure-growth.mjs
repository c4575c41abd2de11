// Measures memory, and cost against number, for the tables of `growth.mjs`.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { AWAKE, ROOMY, stop } from "./servers.mjs";

/** Idle rooms hibernate after this time, where that is measured. */
const ASIDE_SECONDS = 5;

/** A lobby has at most 20,000 members, and those whose joining is measured are among them. */
const MEMBERS = [100, 1000, 3000, 9000, 15_000, 19_000];

/** How long the log grows before each restart. */
const LOG_SECONDS = 20;

/** How often it is restarted after that. */
const RESTARTS = 3;

/** Each resolves with points, by the name of their series. */
export const GROWING = {
  async lobby(servers) {
    // Both the server and the players have a file for each connection.
    const files = Number(spawnSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).stdout);
    const members = MEMBERS.filter((count) => !(count + 700 > files));
    const server = await servers.chorus();
    const report = await servers.report(server, ["lobby", "--members", `${members}`]);
    await stop(server);
    return report?.series;
  },

  /** The same connections by TLS. */
  async tls(servers) {
    const data = servers.directory();
    const server = await servers.chorus({ data, more: ["--tls-self-signed"] });
    server.certificate = join(data, "tls", "localhost.certificate.pem");
    const report = await servers.report(server, ["lobby", "--members", "100,1000,3000,6000,9000"]);
    await stop(server);
    return report && { "member of the lobby, by TLS": report.series["member of the lobby"] };
  },

  async played(servers) {
    const server = await servers.chorus({ more: AWAKE });
    const report = await servers.report(server, ["played"]);
    await stop(server);
    return report?.series;
  },

  async playing(servers) {
    const points = [];
    for (const number of [100, 300, 1000, 3000]) {
      const server = await servers.chorus();
      const figures = await servers.load(server, ["tic-tac-toe", "--rooms", `${number}`]);
      await stop(server);
      if (figures) points.push({ number, ...figures });
    }
    return { "playing room": points };
  },

  /** The players read nothing while their rooms hibernate, so they answer no ping either. */
  async hibernated(servers) {
    const server = await servers.chorus({ more: ["--hibernate-after", `${ASIDE_SECONDS}`, "--ping", "600"] });
    const report = await servers.report(server, ["hibernated", "--hibernate-after", `${ASIDE_SECONDS}`]);
    await stop(server);
    return report?.series;
  },

  async ended(servers) {
    const server = await servers.chorus({ more: [...AWAKE, "--ping", "600"] });
    const report = await servers.report(server, ["ended"]);
    await stop(server);
    return report?.series;
  },

  /** The same directory again and again, with more in it each time. */
  async log(servers) {
    const data = servers.directory();
    const points = [];
    let number = 0;
    for (let run = 0; run <= RESTARTS; run++) {
      const begun = performance.now();
      const server = await servers.chorus({ data, more: ["--keep-log"] });
      const start = performance.now() - begun;
      const { p50 } = (await servers.load(server, ["echo", "--rooms", "1"], { measure: 2 })) ?? {};
      const size = spawnSync("du", ["-sm", data], { encoding: "utf8" }).stdout.split("\t")[0];
      points.push({ number, MiB: Number(size), start, "p50 of an echo": p50 });
      if (run < RESTARTS) number += await grown(servers, server);
      await stop(server);
    }
    return { log: points };
  },

  async partitions(servers) {
    const { Services } = await import("../../testing/services/services.mjs");
    const services = await Services.start({ postgres: true, kafka: true });
    const points = [];
    try {
      for (const number of [8, 64, 256]) points.push(await clusterOf(servers, number, services));
    } finally {
      await services.stop();
    }
    return { partition: points };
  },
};

/** Lets the log grow, and resolves with about how many records it did. */
async function grown(servers, server) {
  const warmUp = 1;
  const { messages } = await servers.load(server, ["echo", "--rooms", "100"], { measure: LOG_SECONDS, warmUp });
  return Math.round(messages * (LOG_SECONDS + warmUp));
}

async function clusterOf(servers, partitions, services) {
  const { Cluster } = await import("../../chorus/tests/cluster/cluster.mjs");
  const begun = performance.now();
  const system = await Cluster.start({
    bin: servers.bin, services, partitions, edges: 1, hosts: 1, monitors: 1, kinds: ["lobby", "bench-room"], standIns: { lobby: "bench-lobby" },
    edgeArgs: ROOMY, timing: { heartbeat: 2, deadAfter: 30 },
  });
  const start = performance.now() - begun;
  try {
    const before = cpuSeconds(system.hosts[0].pid);
    await new Promise((resolve) => { setTimeout(resolve, 5000); });
    const busy = 100 * (cpuSeconds(system.hosts[0].pid) - before) / 5;
    const { host: address } = new URL(system.urls[0]);
    const { p50 } = (await servers.load({ address, pid: system.hosts[0].pid }, ["echo", "--rooms", "1"])) ?? {};
    return { number: partitions, start, "p50 of an echo": p50, "busy at rest": busy };
  } finally {
    await system.stop();
  }
}

function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
