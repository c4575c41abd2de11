/** An edge, a host or a monitor: one process of a cluster, started as often as needed. Each run has its own id. */

import { START_MS } from "../server.mjs";
import { Process } from "../process.mjs";

/** The line that each role prints when it serves: its id, and at the end the address of its metrics and readiness. */
const ANNOUNCEMENT = /^(\S+) (?:serves players|runs rooms|answers operators).* at (http:\/\/[^\s/]+)\/\s*$/m;
const PROBE_MS = 2000;

export class Machine {
  /** The id of the current run, once the machine serves. */
  id = null;
  /** How often it was started. */
  starts = 0;
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

  /** The output of all its runs. */
  get output() {
    return this.#process.output;
  }

  /** The output of the current run, or of the last one. */
  get runOutput() {
    return this.#process.runOutput;
  }

  /** Resolves with how the current run ends, or how the last one ended. */
  get ended() {
    return this.#process.ended;
  }

  /** Resolves when the process serves. It may not be ready yet: see `readiness`. */
  async start() {
    this.starts += 1;
    this.id = null;
    [, this.id, this.#status] = await this.#process.start(ANNOUNCEMENT, START_MS);
  }

  kill9() {
    this.paused = false;
    return this.#process.kill9();
  }

  /** Ends the process by SIGTERM. Resolves with how it ended. */
  terminate(withinMs) {
    return this.#process.interrupt("SIGTERM", withinMs);
  }

  /** Sends SIGTERM without waiting for the end. */
  requestStop() {
    this.#process.signal("SIGTERM");
  }

  /** Stops the process until `unpause`, like a paused virtual machine. */
  pause() {
    this.paused = true;
    this.#process.signal("SIGSTOP");
  }

  unpause() {
    this.paused = false;
    this.#process.signal("SIGCONT");
  }

  /** The partitions that a host serves. An assigned partition is missing until its takeover. */
  async partitions() {
    const lines = (await this.metrics()).matchAll(/^chorus_host_lag_records\{partition="(\d+)"\}/gm);
    return [...lines].map(([, partition]) => Number(partition)).sort((a, b) => a - b);
  }

  /** Whether the machine reports that it is ready, and if not, why. */
  async readiness() {
    if (!this.running || this.#status === null) return { ready: false, why: "it does not run" };
    try {
      const answer = await fetch(`${this.#status}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) });
      return { ready: answer.ok, why: (await answer.text()).trim() };
    } catch (error) {
      return { ready: false, why: error.message };
    }
  }

  /** Its metrics, in Prometheus's format. */
  async metrics(headers = {}) {
    const answer = await fetch(`${this.#status}/metrics`, { headers, signal: AbortSignal.timeout(PROBE_MS) });
    if (!answer.ok) throw new Error(`${this.id} gives no metrics: ${answer.status}`);
    return answer.text();
  }
}
