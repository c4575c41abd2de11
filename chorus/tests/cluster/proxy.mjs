/**
 * A network path to the broker or to PostgreSQL that a test can cut: a proxy on loopback for each of their addresses.
 *
 * A cut is silent, like that of a network: connections stay open and no bytes pass, and new connections are accepted but never
 * answered. When it heals, the bytes in flight are delivered: a request that was written long ago arrives then.
 *
 * A broker's answers contain the addresses of all brokers. They are replaced by the proxies' addresses: in every version of the
 * protocol, a host's name is directly followed by its port, and only the port differs. So the proxy works with any broker on
 * this machine, without a listener of its own in the broker's configuration.
 */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Proxy {
  isCut = false;
  #doors = [];
  #sockets = new Set();

  /** Proxies for brokers: `host:port,…`. */
  static async ofBroker(brokers) {
    const proxy = new Proxy();
    const targets = brokers.split(",").map((address) => split(address));
    await proxy.#open(targets, () => new Readdressed(targets, proxy.#doors));
    proxy.brokers = proxy.#doors.map(({ host, port }) => `${host}:${port}`).join(",");
    return proxy;
  }

  /** A proxy for a database: `postgres://user@host:port/database`. */
  static async ofPostgres(url) {
    const proxy = new Proxy();
    const target = new URL(url);
    await proxy.#open([{ host: target.hostname, port: Number(target.port || 5432) }], () => new AsItIs());
    target.port = proxy.#doors[0].port;
    proxy.url = target.href;
    return proxy;
  }

  /** One listener for each target, under the target's own host name: in a broker's answers only the port may change. */
  async #open(targets, answers) {
    for (const target of targets) {
      const server = createServer((client) => this.#connect(client, target, answers()));
      server.listen(0, target.host);
      await once(server, "listening");
      this.#doors.push({ host: target.host, port: server.address().port, server });
    }
  }

  #connect(client, { host, port }, answers) {
    const server = connect(port, host);
    for (const [socket, other] of [[client, server], [server, client]]) {
      this.#sockets.add(socket);
      if (this.isCut) socket.pause();
      socket.setNoDelay(true);
      socket.on("error", () => {}); // `close` follows.
      socket.on("close", () => (this.#sockets.delete(socket), other.destroy()));
    }
    pass(client, server, new AsItIs());
    pass(server, client, answers);
  }

  /** From now on no bytes pass. */
  cut() {
    this.isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Delivers the bytes in flight, and passes further ones. */
  heal() {
    this.isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close() {
    for (const { server } of this.#doors) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The buffer is unbounded: a test's traffic is small, and during a cut nothing is read. */
function pass(from, to, pieces) {
  from.on("data", (piece) => {
    for (const whole of pieces.take(piece)) to.write(whole);
  });
}

class AsItIs {
  take(piece) {
    return [piece];
  }
}

/** Replaces the ports in a broker's answers, each of which is a size followed by that many bytes. */
class Readdressed {
  #rest = Buffer.alloc(0);
  #replace;

  constructor(targets, doors) {
    this.#replace = targets.map((target, n) => [place(target), place(doors[n])]);
  }

  take(piece) {
    this.#rest = Buffer.concat([this.#rest, piece]);
    const whole = [];
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const end = 4 + this.#rest.readInt32BE(0);
      whole.push(this.#readdress(Buffer.from(this.#rest.subarray(0, end))));
      this.#rest = this.#rest.subarray(end);
    }
    return whole;
  }

  #readdress(answer) {
    for (const [from, to] of this.#replace) {
      for (let at = answer.indexOf(from); at >= 0; at = answer.indexOf(from, at + to.length)) to.copy(answer, at);
    }
    return answer;
  }
}

/** An address as encoded in an answer: the name, then the port in four bytes. */
function place({ host, port }) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(port);
  return Buffer.concat([Buffer.from(host), bytes]);
}

function split(address) {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
