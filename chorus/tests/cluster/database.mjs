/** A database of one's own on a PostgreSQL that others use too. */

import { randomBytes } from "node:crypto";

import pg from "pg";

/** The name is part of a statement, and so is only letters and digits. */
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
