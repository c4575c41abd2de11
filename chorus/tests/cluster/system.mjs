/**
 * A cluster for the stories of `e2e/`: `CHORUS_SYSTEM` names this file. Two edges, two hosts, a monitor and a standby,
 * over the services named by `CHORUS_TEST_KAFKA` and `CHORUS_TEST_POSTGRES`, or over services of its own.
 */

import { Cluster } from "./cluster.mjs";

export async function startSystem() {
  const cluster = await Cluster.start();
  const serving = [...cluster.edges, ...cluster.hosts];
  return {
    urls: cluster.urls,
    kill: () => cluster.kill(serving),
    revive: async () => {
      await Promise.all(serving.map((machine) => cluster.run(machine)));
      await cluster.ready();
    },
    stop: () => cluster.stop(),
  };
}
