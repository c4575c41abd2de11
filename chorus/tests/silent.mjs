/**
 * A proxy that can go silent, like the network that a laptop or a phone has left: in either direction, bytes are dropped, and
 * the end of a connection is not passed on. Neither side is notified.
 */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class SilentProxy {
  #server;
  #pairs = new Set();
  #silentForAll = false;

  /** Starts a proxy for a server at `http://host:port`. */
  static async before(url) {
    const { hostname: host, port } = new URL(url);
    const proxy = new SilentProxy();
    proxy.#server = createServer((client) => proxy.#pass(client, connect({ host, port: Number(port) })));
    proxy.#server.listen(0, host);
    await once(proxy.#server, "listening");
    proxy.url = `http://${host}:${proxy.#server.address().port}`;
    return proxy;
  }

  #pass(client, server) {
    const pair = { client, server, silent: this.#silentForAll };
    this.#pairs.add(pair);
    for (const [from, to] of [[client, server], [server, client]]) {
      from.setNoDelay(true);
      from.on("error", () => {}); // `close` follows.
      from.on("data", (bytes) => pair.silent || to.write(bytes));
      from.on("close", () => pair.silent || (to.destroy(), this.#pairs.delete(pair)));
    }
  }

  /** Silences all open connections. New connections work. */
  silence() {
    for (const pair of this.#pairs) pair.silent = true;
  }

  /** Silences all open connections, and all new ones until `unsilence`. */
  silenceAll() {
    this.#silentForAll = true;
    this.silence();
  }

  unsilence() {
    this.#silentForAll = false;
  }

  close() {
    this.#server.close();
    for (const { client, server } of this.#pairs) (client.destroy(), server.destroy());
  }
}
