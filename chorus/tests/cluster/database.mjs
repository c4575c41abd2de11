/** A new database on a PostgreSQL that may be shared. */

import { randomBytes } from "node:crypto";

import pg from "pg";

/** The name is inserted into a statement, so it contains only letters and digits. */
export async function createDatabase(server) {
  const name = `chorus_test_${randomBytes(6).toString("hex")}`;
  await say(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => say(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function say(server, statement) {
  const client = new pg.Client({ connectionString: server, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
