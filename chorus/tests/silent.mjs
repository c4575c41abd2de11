/**
 * A way to a server that can go silent, as a network does that a laptop or a phone has left: bytes are swallowed, and no
 * end of a connection is passed on, in either direction. Nobody is told anything.
 */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class SilentProxy {
  #server;
  #pairs = new Set();
  #deaf = false;

  /** In front of a server at `http://host:port`. */
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
    const pair = { client, server, silent: this.#deaf };
    this.#pairs.add(pair);
    for (const [from, to] of [[client, server], [server, client]]) {
      from.setNoDelay(true);
      from.on("error", () => {}); // `close` follows.
      from.on("data", (bytes) => pair.silent || to.write(bytes));
      from.on("close", () => pair.silent || (to.destroy(), this.#pairs.delete(pair)));
    }
  }

  /** What is open now carries nothing any more. What is opened from now on does. */
  silence() {
    for (const pair of this.#pairs) pair.silent = true;
  }

  /** Likewise, and so is all that is opened until `listen`. */
  silenceAll() {
    this.#deaf = true;
    this.silence();
  }

  listen() {
    this.#deaf = false;
  }

  close() {
    this.#server.close();
    for (const { client, server } of this.#pairs) (client.destroy(), server.destroy());
  }
}
