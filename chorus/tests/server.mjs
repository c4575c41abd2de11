/**
 * `chorus dev` as a process of a test: started, stopped, killed and started again on the same directory and port.
 *
 * `CHORUS_BIN` names the binary.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ROOMY } from "./limits.mjs";
import { Process } from "./process.mjs";

const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/;
/** A first start compiles the guests. */
export const START_MS = Number(process.env.CHORUS_START_MS ?? 180_000);
const STOP_MS = 20_000;
/** The deadline for lines of output that take seconds on an idle machine. */
const OUTPUT_MS = 60_000;

export class Server {
  url = null;
  #process;

  constructor({ bin = process.env.CHORUS_BIN, data, port = 0, watch = false, args = [] }) {
    if (!bin) throw new Error("CHORUS_BIN must name the chorus binary");
    Object.assign(this, { bin, data, port });
    const watching = watch ? [] : ["--no-watch"];
    const env = { ...ROOMY, ...process.env };
    this.#process = new Process(bin, ["dev", "--data", data, "--port", String(port), ...watching, ...args], { env });
  }

  /** Starts a server, by default on a temporary directory, which `stop` deletes. */
  static async start(options = {}) {
    const data = options.data ?? (await mkdtemp(join(tmpdir(), "chorus-")));
    const server = new Server({ ...options, data });
    server.temporary = options.data === undefined;
    await server.start().catch(async (error) => {
      await server.#deleteTemporary();
      throw error;
    });
    return server;
  }

  get running() {
    return this.#process.running;
  }

  get output() {
    return this.#process.output;
  }

  /** Resolves when the address is printed. */
  async start() {
    [this.url] = await this.#process.start(ADDRESS, START_MS);
  }

  /** Resolves when the output of this run matches. */
  prints(pattern) {
    return this.#process.prints(pattern, OUTPUT_MS);
  }

  /** Ends the process like a power cut: no handler runs. */
  async kill9() {
    await this.#process.kill9();
  }

  /** Ends the process as Ctrl-C does. Resolves with the exit code. */
  async interrupt(signal = "SIGINT") {
    return this.#process.interrupt(signal, STOP_MS);
  }

  /** Ends the process, if it runs, and deletes its temporary directory. */
  async stop() {
    try {
      return this.running ? await this.interrupt() : undefined;
    } finally {
      await this.#deleteTemporary();
    }
  }

  async #deleteTemporary() {
    if (this.temporary) await rm(this.data, { recursive: true, force: true });
  }
}
