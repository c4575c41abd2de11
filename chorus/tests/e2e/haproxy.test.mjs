// Players behind a load balancer: HAProxy with two addresses, which names each client by the PROXY protocol. Not for a cluster.
//
// PLAYERS is their number: 300 in the test command. For thousands, raise the limit of file descriptors first (`ulimit -n 40000`).

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { HAProxy } from "../../../testing/services/haproxy.mjs";
import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

const PLAYERS = Number(process.env.PLAYERS ?? 300);
/** Players that connect at the same time. */
const AT_ONCE = 50;
const BALANCERS = ["127.0.0.2", "127.0.0.3"];
/** An address may have so many connections, and open so many sessions at once: twice its rate per minute. */
const CONNECTIONS = 8, SESSIONS = 6;

let server, proxy;
before(async () => {
  const trusted = BALANCERS.flatMap((address) => ["--trusted-proxy", `${address}/32`]);
  const limits = ["--max-connections-per-address", `${CONNECTIONS}`, "--new-sessions", `${SESSIONS / 2}`];
  server = await Server.start({ port: await freePort(), args: [...trusted, ...limits] });
  proxy = await HAProxy.start({ to: server.port, from: BALANCERS });
});
after(async () => {
  await proxy?.stop();
  await server?.stop();
});

/** The address of the n-th player. */
const address = (n) => `127.1.${(n >> 8) + 1}.${n & 255}`;
const connect = (from) => Raw.connect(proxy.url, { localAddress: from });

/** Calls `each` with 0 to `count` - 1, some at the same time. */
async function all(count, each) {
  const results = [];
  let next = 0;
  const work = async () => { while (next < count) { const n = next++; results[n] = await each(n); } };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

/** The number of connections to the server from this address, as the system counts them. */
function connectionsFrom(from) {
  const hex = (port) => port.toString(16).toUpperCase().padStart(4, "0");
  const remote = from.split(".").reverse().map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, "0")).join("");
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n").map((row) => row.trim().split(/\s+/));
  return rows.filter(([, local, other]) => local?.endsWith(`:${hex(server.port)}`) && other?.startsWith(`${remote}:`)).length;
}

test(`${PLAYERS} players get in over two addresses of a load balancer, and limits hold for each player's own`, { timeout: 600_000 }, async () => {
  const players = await all(PLAYERS, async (n) => {
    const client = await connect(address(n));
    await client.arrive(`Player ${n}`);
    return client;
  });
  if (existsSync("/proc/net/tcp")) {
    for (const balancer of BALANCERS) assert.ok(connectionsFrom(balancer) >= PLAYERS / 3, `${balancer}: ${connectionsFrom(balancer)}`);
  }

  // One address uses up what it may have, in connections and in sessions.
  const greedy = "127.2.0.1";
  const sessions = [];
  for (let n = 0; n < SESSIONS; n++) (sessions.push(await connect(greedy)), await sessions[n].arrive("Greedy"));
  const oneMore = await connect(greedy);
  oneMore.send({ t: "hello" });
  assert.match(refused(await oneMore.closed()), /sessions/);
  const silent = [];
  while (silent.length < CONNECTIONS - SESSIONS) silent.push(await connect(greedy));
  for (let n = 0; n < 3; n++) {
    // Over either address of the load balancer.
    const client = await connect(greedy);
    assert.match(refused(await client.closed()), /connections/);
  }

  // Nobody else is concerned: those who play, and those who come.
  await all(PLAYERS, async (n) => {
    players[n].send({ t: "msg", id: 1, type: "look" });
    assert.equal((await players[n].answer(1)).t, "reply", `player ${n}`);
    assert.equal(players[n].isClosed, false);
  });
  const late = await connect("127.2.0.2");
  await late.arrive("Late");
  for (const client of [...players, ...sessions, ...silent, late]) client.terminate();
});

function refused({ code, reason }) {
  assert.equal(code, 4030, reason);
  return reason;
}
