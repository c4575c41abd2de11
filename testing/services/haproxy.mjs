/**
 * HAProxy in front of one server, as a load balancer with two addresses of its own: every connection is passed on from one of them
 * in turn, with the client's address by the PROXY protocol, version 2.
 */

import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { end, findOrInstall, freePort, start, until, which } from "./programs.mjs";

/** Connections at once. Each takes two file descriptors, whose limit HAProxy raises as far as it may. */
const MAX_CONNECTIONS = 8_000;

export class HAProxy {
  #child;
  #folder;

  /** `to`: the server's port on loopback. `from`: the balancer's addresses towards it, on loopback too. */
  static async start({ to, from }) {
    const proxy = new HAProxy();
    const program = await findOrInstall("HAProxy", async () => which("haproxy") ?? installed(), ["haproxy"], "leave its tests out");
    proxy.port = await freePort();
    proxy.#folder = await mkdtemp(join(tmpdir(), "haproxy-"));
    const file = join(proxy.#folder, "haproxy.cfg");
    await writeFile(file, configuration(proxy.port, to, from));
    // -db: in the foreground, as one process that ends with this one.
    proxy.#child = start(program, ["-db", "-f", file]);
    await until("HAProxy", proxy.#child, () => answers(proxy.port));
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    await end(this.#child, "SIGTERM");
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Debian installs it outside of some users' PATH. */
function installed() {
  const path = "/usr/sbin/haproxy";
  return existsSync(path) ? path : null;
}

function configuration(port, to, from) {
  const servers = from.map((address, n) => `  server edge-${n} 127.0.0.1:${to} source ${address} send-proxy-v2`);
  return `
global
  maxconn ${MAX_CONNECTIONS}
defaults
  mode tcp
  maxconn ${MAX_CONNECTIONS}
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend players
  bind 127.0.0.1:${port} backlog 4096
  default_backend edges
backend edges
  balance roundrobin
${servers.join("\n")}
`;
}

async function answers(port) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.destroy();
  return true;
}
