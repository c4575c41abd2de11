// A cluster whose topic or database is not the one that it had, or of which a part is gone: refused by name, and accepted.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import pg from "pg";

import { Services } from "../../../testing/services/services.mjs";
import { Cluster } from "./cluster.mjs";
import { createDatabase } from "./database.mjs";
import { Machine } from "./machine.mjs";
import { seesLobby } from "./probe.mjs";

const STORY_MS = 240_000;
const REFUSED_MS = 60_000;
let services;

before(async () => {
  services = await Services.start({ postgres: true, kafka: true });
});
after(() => services?.stop());

/** A story of a cluster with one machine of each role, after somebody was shown its lobby and it has left in order. */
function story(name, tell) {
  test(name, { timeout: STORY_MS }, async () => {
    const cluster = await Cluster.start({ services, edges: 1, hosts: 1, monitors: 1, partitions: 2 });
    try {
      await cluster.retire(cluster.hosts);
      await cluster.retire([...cluster.edges, ...cluster.monitors]);
      await tell(cluster);
    } finally {
      await cluster.stop();
    }
  });
}

async function say(cluster, statement) {
  const client = new pg.Client({ connectionString: cluster.database.url });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

const isRefused = (cluster, ...said) =>
  assert.rejects(cluster.chorus("migrate"), ({ message }) => said.every((words) => message.includes(words)) || assert.fail(message));

story("a new database on a topic with records", async (cluster) => {
  const { url } = cluster.database;
  const other = await createDatabase(services.addresses.postgres);
  try {
    cluster.database.url = other.url;
    await isRefused(cluster, `topic ${cluster.prefix}.rooms`, "this database has never seen one", "--accept-loss");
    assert.match(await cluster.chorus("migrate", "--accept-loss"), /going on without the snapshots/);
    await cluster.chorus("migrate");
  } finally {
    cluster.database.url = url;
    await other.drop();
  }
});

story("a database with another topic, or with one that is gone", async (cluster) => {
  const { prefix } = cluster;
  cluster.prefix = `${prefix}-other`;
  await isRefused(cluster, `topic ${prefix}-other.rooms is missing`, "the database belongs to it");
  // It is there, but it is not the database's.
  const other = await createDatabase(services.addresses.postgres);
  const { url } = cluster.database;
  cluster.database.url = other.url;
  await cluster.chorus("migrate");
  cluster.database.url = url;
  await isRefused(cluster, `the database belongs to topic ${prefix}.rooms`, `lead to topic ${prefix}-other.rooms`);
  await assert.rejects(cluster.chorus("migrate", "--accept-loss"), /belongs to topic/, "that is no loss to be accepted");
  await other.drop();
  cluster.prefix = prefix;
  await cluster.chorus("migrate");
});

story("the same topic of another broker cluster", async (cluster) => {
  await say(cluster, "UPDATE log SET cluster = 'elsewhere'");
  await isRefused(cluster, "of broker cluster elsewhere", "--accept-loss once");
  await cluster.chorus("migrate", "--accept-loss");
  await cluster.chorus("migrate");
});

story("rooms whose snapshots are gone", async (cluster) => {
  const { rowCount } = await say(cluster, "DELETE FROM snapshots");
  assert.ok(rowCount > 0, "the lobby was stored");
  const [host] = cluster.hosts;
  await Promise.all(cluster.machines.map((machine) => cluster.run(machine)));
  const said = /does not serve a partition that is its own: .* have neither a snapshot in the store nor the record of their creation/;
  await cluster.until("for the host to refuse", () => (said.test(host.output) ? null : "it has said nothing"), REFUSED_MS);
  assert.ok(host.running, "and serves what it can");
  await cluster.kill([host]);
  const env = { ...process.env, ...cluster.environment };
  const accepting = new Machine({ bin: cluster.options.bin, role: "host", name: "h2", args: ["--accept-loss"], spawn: { env } });
  cluster.hosts = [accepting];
  await cluster.run(accepting);
  await seesLobby(cluster.urls[0], REFUSED_MS);
});
