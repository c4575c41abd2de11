// A cluster whose topic or database was replaced, or has lost a part: refused by name, and accepted on request.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import pg from "pg";

import { Services } from "../../../testing/services/services.mjs";
import { Cluster } from "./cluster.mjs";
import { createDatabase } from "./database.mjs";
import { Machine } from "./machine.mjs";
import { servesLobby } from "./probe.mjs";

const STORY_MS = 240_000;
const REFUSED_MS = 60_000;
let services;

before(async () => {
  services = await Services.start({ postgres: true, kafka: true });
});
after(() => services?.stop());

/** A story of a cluster with one machine of each role, which has served a client and was then drained. */
function story(name, body) {
  test(name, { timeout: STORY_MS }, async () => {
    const cluster = await Cluster.start({ services, edges: 1, hosts: 1, monitors: 1, partitions: 2 });
    try {
      await cluster.retire(cluster.hosts);
      await cluster.retire([...cluster.edges, ...cluster.monitors]);
      await body(cluster);
    } finally {
      await cluster.stop();
    }
  });
}

async function query(cluster, statement) {
  const client = new pg.Client({ connectionString: cluster.database.url });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

const isRefused = (cluster, ...texts) =>
  assert.rejects(cluster.chorus("migrate"), ({ message }) => texts.every((text) => message.includes(text)) || assert.fail(message));

// Two at a time: each has a cluster of its own, and mostly waits.
describe("a cluster", { concurrency: 2 }, () => {
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
    // The topic exists, but it belongs to another database.
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
    await query(cluster, "UPDATE log SET cluster = 'elsewhere'");
    await isRefused(cluster, "of broker cluster elsewhere", "--accept-loss once");
    await cluster.chorus("migrate", "--accept-loss");
    await cluster.chorus("migrate");
  });

  // The broker has no topic of the new name, as if the topic had been deleted.
  story("the topic is gone, and a new one is in its place", async (cluster) => {
    cluster.prefix = `${cluster.prefix}-gone`;
    await query(cluster, `UPDATE log SET topic = '${cluster.prefix}.rooms'`);
    await isRefused(cluster, `topic ${cluster.prefix}.rooms is missing`, "--accept-loss");
    assert.match(await cluster.chorus("migrate", "--accept-loss"), /is missing, .* going on with a new one, without what was played/);
    const [stored] = await highest(cluster);
    assert.ok(stored.offset > 0, "the lobby was stored");

    const { host: listen } = new URL(cluster.urls[0]);
    const host = another(cluster, "host", "h1");
    cluster.hosts = [host];
    cluster.monitors = [another(cluster, "monitor", "m1", ["--listen", "127.0.0.1:0"])];
    cluster.edges = [Object.assign(another(cluster, "edge", "e1", ["--listen", listen]), { url: cluster.urls[0] })];
    await Promise.all(cluster.machines.map((machine) => cluster.run(machine)));
    const refusal = /does not serve a partition that is its own: .* the log ends at offset \d+, and the store has seen it on the disk up to/;
    await cluster.until("for the host to refuse", () => (refusal.test(host.output) ? null : "it has not refused"), REFUSED_MS);
    await cluster.kill([host]);

    const accepting = another(cluster, "host", "h2", ["--accept-loss"]);
    cluster.hosts = [accepting];
    await cluster.run(accepting);
    await servesLobby(cluster.urls[0], REFUSED_MS);
    assert.match(accepting.output, /the log ends at offset \d+, .* \(--accept-loss is given: going on\)/);
    // The lobby is the same, and its further records have offsets above the stored one.
    const [live] = await highest(cluster);
    assert.equal(live.created_at, stored.created_at);

    await cluster.retire([accepting]);
    cluster.hosts = [another(cluster, "host", "h3")];
    await cluster.run(cluster.hosts[0]);
    await servesLobby(cluster.urls[0], REFUSED_MS);
  });

  story("rooms whose snapshots are gone", async (cluster) => {
    const { rowCount } = await query(cluster, "DELETE FROM snapshots");
    assert.ok(rowCount > 0, "the lobby was stored");
    const [host] = cluster.hosts;
    await Promise.all(cluster.machines.map((machine) => cluster.run(machine)));
    const refusal = /does not serve a partition that is its own: .* have neither a snapshot in the store nor the record of their creation/;
    await cluster.until("for the host to refuse", () => (refusal.test(host.output) ? null : "it has not refused"), REFUSED_MS);
    assert.ok(host.running, "and serves what it can");
    await cluster.kill([host]);
    const accepting = another(cluster, "host", "h2", ["--accept-loss"]);
    cluster.hosts = [accepting];
    await cluster.run(accepting);
    await servesLobby(cluster.urls[0], REFUSED_MS);
  });
});

/** Rooms, by the offset up to which they are stored, highest first. */
async function highest(cluster) {
  const { rows } = await query(cluster, `SELECT "offset"::int, created_at FROM rooms WHERE status = 'live' ORDER BY "offset" DESC`);
  return rows;
}

/** One more machine, with the cluster's current environment. */
function another(cluster, role, name, args = []) {
  const env = { ...process.env, ...cluster.environment };
  return new Machine({ bin: cluster.options.bin, role, name, args, spawn: { env } });
}
