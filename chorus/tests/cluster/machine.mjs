/** An edge, a host or a monitor: one process of a cluster, in one life after another. Each life has an id of its own. */

import { START_MS } from "../server.mjs";
import { Process } from "../process.mjs";

/** What each role prints when it serves: its id, and at the end of the line where it answers an operator's tools. */
const ANNOUNCEMENT = /^(\S+) (?:serves players|runs rooms|answers operators).* at (http:\/\/[^\s/]+)\/\s*$/m;
const PROBE_MS = 2000;

export class Machine {
  /** Of its present life, once it serves. */
  id = null;
  /** How often it ran. */
  lives = 0;
  paused = false;
  #process;
  #status = null;

  /** `spawn`: Node's options for processes. */
  constructor({ bin, role, name, args, spawn }) {
    Object.assign(this, { role, name });
    this.#process = new Process(bin, [role, "--name", name, ...args], spawn);
  }

  get running() {
    return this.#process.running;
  }

  get pid() {
    return this.#process.pid;
  }

  /** What it has said in all its lives. */
  get output() {
    return this.#process.output;
  }

  /** What it has said in this life, or in the last one. */
  get lifeOutput() {
    return this.#process.lifeOutput;
  }

  /** How its present life ends, or its last one did. */
  get ended() {
    return this.#process.ended;
  }

  /** Resolves when it serves. Whether it is ready for work is another question. */
  async start() {
    this.lives += 1;
    this.id = null;
    [, this.id, this.#status] = await this.#process.start(ANNOUNCEMENT, START_MS);
  }

  kill9() {
    this.paused = false;
    return this.#process.kill9();
  }

  /** In good order; resolves with how it ended. */
  terminate(withinMs) {
    return this.#process.interrupt("SIGTERM", withinMs);
  }

  /** In good order, and not waited for. */
  ask() {
    this.#process.signal("SIGTERM");
  }

  /** It stands still, as on a machine that is paused. */
  pause() {
    this.paused = true;
    this.#process.signal("SIGSTOP");
  }

  wake() {
    this.paused = false;
    this.#process.signal("SIGCONT");
  }

  /** A host's partitions, as it has them itself: one that is given to it may be still on its way. */
  async partitions() {
    const lines = (await this.metrics()).matchAll(/^chorus_host_lag_records\{partition="(\d+)"\}/gm);
    return [...lines].map(([, partition]) => Number(partition)).sort((a, b) => a - b);
  }

  /** What it says of itself: whether it can work, and if not, why. */
  async readiness() {
    if (!this.running || this.#status === null) return { ready: false, why: "it does not run" };
    try {
      const answer = await fetch(`${this.#status}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) });
      return { ready: answer.ok, why: (await answer.text()).trim() };
    } catch (error) {
      return { ready: false, why: error.message };
    }
  }

  /** Its metrics, as Prometheus would read them. */
  async metrics(headers = {}) {
    const answer = await fetch(`${this.#status}/metrics`, { headers, signal: AbortSignal.timeout(PROBE_MS) });
    if (!answer.ok) throw new Error(`${this.id} gives no metrics: ${answer.status}`);
    return answer.text();
  }
}
