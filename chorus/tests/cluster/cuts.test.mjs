// One host loses its network to the broker, to PostgreSQL or to both, and regains it.

import assert from "node:assert/strict";
import { after, afterEach } from "node:test";

import { pair, play } from "../e2e/player.mjs";
import { Proxy } from "./proxy.mjs";
import { ends, stories } from "./stories.mjs";

/** The first host's proxies to its services. */
const ways = {};

const story = stories({
  hostEnvironment: async (n, { brokers, postgres }) => {
    if (n !== 1) return {};
    ways.broker = await Proxy.ofBroker(brokers);
    ways.postgres = await Proxy.ofPostgres(postgres);
    return { CHORUS_BROKERS: ways.broker.brokers, CHORUS_POSTGRES: ways.postgres.url };
  },
});
after(() => Object.values(ways).forEach((way) => way.close()));
// A story that fails must leave no cut behind for the next.
afterEach(() => Object.values(ways).forEach((way) => way.heal()));

story("a host without PostgreSQL: its games continue, on other hosts after the lease", async ({ cluster, two }) => {
  const players = await seatedAt(cluster.hosts[0], cluster, await two());
  const { id } = cluster.hosts[0];
  await play(players, [0]);
  ways.postgres.cut();
  await play([players[1], players[0]], [3]);
  await cluster.until("for its partitions to be with others", () => hasPartitions(cluster, id));
  await play(players, [1]);
  ways.postgres.heal();
  await isAnother(cluster, id);
  await ends(players, 3);
});

story("a host without the broker: its rooms continue on others after the lease, and its late writes harm no player", async ({ cluster, two }) => {
  const players = await seatedAt(cluster.hosts[0], cluster, await two());
  const { id } = cluster.hosts[0];
  await play(players, [0]);
  ways.broker.cut();
  await play([players[1], players[0]], [3, 1]);
  assert.equal(await hasPartitions(cluster, id), null);
  ways.broker.heal();
  await isAnother(cluster, id);
  await ends(players, 3);
});

story("a host without both: its rooms continue on others after the lease", async ({ cluster, two }) => {
  const players = await seatedAt(cluster.hosts[0], cluster, await two());
  const { id } = cluster.hosts[0];
  await play(players, [0, 3]);
  for (const way of Object.values(ways)) way.cut();
  await play(players, [1, 4]);
  assert.equal(await hasPartitions(cluster, id), null);
  for (const way of Object.values(ways)) way.heal();
  await isAnother(cluster, id);
  await ends(players, 4);
});

/** Pairs the two players until their game is on that host: which host a room is on is random. */
async function seatedAt(host, cluster, players) {
  for (;;) {
    const seated = await pair(...players);
    if ((await cluster.hostOf(players[0].client.room.id)) === host) return seated;
    await seated[0].send("leave");
    await seated[1].sees("that the other has left", ({ winner }) => winner !== null);
    await seated[1].send("leave");
    for (const player of players) await player.in("lobby");
  }
}

/** Describes the partitions that a machine of this id still has, or null. */
async function hasPartitions(cluster, id) {
  const { machines } = await cluster.get("/v1/machines");
  const { partitions = [] } = machines.find((machine) => machine.id === id) ?? {};
  return partitions.length > 0 ? `${id} has ${partitions.length} partitions` : null;
}

/** Resolves when the host that lost its rooms to others has been started again under another id, and the cluster is ready. */
async function isAnother(cluster, id) {
  await cluster.until("for its restart", () => (cluster.hosts[0].id === id ? `${id} is still there` : null));
  await cluster.ready();
}
