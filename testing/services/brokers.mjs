/**
 * Brokers with Kafka's protocol, each a process that may be killed and started again, at the same address and on the same
 * data. A subclass provides the brokers, `all` of `{ n, port, child, … }`, and `run`, which starts the process of one.
 */

import { connect } from "node:net";

import { end, until } from "./programs.mjs";

export class Brokers {
  all = [];

  /** The addresses of all brokers, in a client's format. */
  get brokers() {
    return this.all.map(({ port }) => `127.0.0.1:${port}`).join(",");
  }

  /** The greatest possible number of copies of each record. */
  get replication() {
    return Math.min(3, this.all.length);
  }

  async startAll() {
    await Promise.all(this.all.map(({ n }) => this.start(n)));
  }

  /** Starts a broker (again), at the same address and on the same data; resolves when it serves. */
  async start(n) {
    const broker = this.#broker(n);
    broker.child = this.run(broker);
    const others = this.all.filter(({ child }) => child && child.exitCode === null && child.signalCode === null);
    await until(`broker ${n}`, broker.child, async () => (await brokersKnownTo(broker.port)) >= others.length);
  }

  async kill(n) {
    await end(this.#broker(n).child, "SIGKILL");
  }

  /** Ends all brokers for good. Their folder is deleted, so they need no orderly shutdown. */
  async stop() {
    await Promise.all(this.all.filter(({ child }) => child).map(({ child }) => end(child, "SIGKILL")));
  }

  #broker(n) {
    const broker = this.all[n];
    if (!broker) throw new Error(`there is no broker ${n}, only ${this.all.length}`);
    return broker;
  }
}

/** The number of brokers in the metadata of one. Waits for its answer, which it sends once it serves. */
function brokersKnownTo(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(1000, () => socket.destroy(new Error("no answer")));
    // Metadata, version 1, about no topic: size, api key, version, correlation, no client id, an empty array.
    const ask = Buffer.from([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0]);
    let answer = Buffer.alloc(0);
    socket.on("connect", () => socket.write(ask));
    socket.on("data", (piece) => {
      answer = Buffer.concat([answer, piece]);
      // Size, correlation, then an array of brokers.
      if (answer.length >= 12) (resolve(answer.readInt32BE(8)), socket.destroy());
    });
    socket.on("close", () => reject(new Error("no answer")));
    socket.on("error", reject);
  });
}
