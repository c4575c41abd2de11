/**
 * A way to the broker or to PostgreSQL that a test can cut: a proxy on loopback for each of their addresses.
 *
 * A cut is silent, as that of a network is: connections stay open and nothing comes through, new ones are accepted by
 * nobody who answers. When it heals, what was on the way goes on: a request that was written long ago arrives then.
 *
 * A broker tells its clients under which addresses they reach it and its like. In its answers those are replaced by the
 * proxies': a host's name and its port stand side by side there, in every version of the protocol, and only the port
 * differs. So it works with whatever broker there is on this machine, with no listener set up for it.
 */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Proxy {
  isCut = false;
  #doors = [];
  #sockets = new Set();

  /** In front of brokers: `host:port,…`. */
  static async ofBroker(brokers) {
    const proxy = new Proxy();
    const targets = brokers.split(",").map((address) => split(address));
    await proxy.#open(targets, () => new Readdressed(targets, proxy.#doors));
    proxy.brokers = proxy.#doors.map(({ host, port }) => `${host}:${port}`).join(",");
    return proxy;
  }

  /** In front of a database: `postgres://user@host:port/database`. */
  static async ofPostgres(url) {
    const proxy = new Proxy();
    const target = new URL(url);
    await proxy.#open([{ host: target.hostname, port: Number(target.port || 5432) }], () => new AsItIs());
    target.port = proxy.#doors[0].port;
    proxy.url = target.href;
    return proxy;
  }

  /** One door for each target, under the target's own host name: in a broker's answers only the port may change. */
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

  /** From now on nothing comes through. */
  cut() {
    this.isCut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was on the way goes on. */
  heal() {
    this.isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close() {
    for (const { server } of this.#doors) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Without a bound: a test's traffic is small, and during a cut nothing is read. */
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

/** A broker's answers, each a size and so many bytes, with other ports in them. */
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

/** As it stands in an answer: the name, then the port in four bytes. */
function place({ host, port }) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(port);
  return Buffer.concat([Buffer.from(host), bytes]);
}

function split(address) {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}
