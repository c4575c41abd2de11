/**
 * `chorus dev` as a process of a test: started, stopped, killed and started again on the same directory and port.
 *
 * `CHORUS_BIN` names the binary; one that ends in `.mjs` is run by Node (the stand-in of `page/`). A process is only
 * ever ended through the handle of the child that was started here.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/;
/** A first start compiles the guests. */
const START_MS = Number(process.env.CHORUS_START_MS ?? 180_000);
const STOP_MS = 15_000;
/** What the process has said, for whoever reads a failure. */
const KEPT_OUTPUT = 64 * 1024;

export class Server {
  #child = null;
  #ended = null;

  constructor({ bin = process.env.CHORUS_BIN, data, port = 0, watch = false, args = [] }) {
    if (!bin) throw new Error("CHORUS_BIN must name the chorus binary");
    Object.assign(this, { bin, data, port, args: watch ? args : ["--no-watch", ...args], url: null, output: "" });
  }

  /** A server on a directory of its own, which goes with it. */
  static async start(options = {}) {
    const data = options.data ?? (await mkdtemp(join(tmpdir(), "chorus-")));
    const server = new Server({ ...options, data });
    server.temporary = options.data === undefined;
    await server.start().catch(async (error) => {
      await server.#forget();
      throw error;
    });
    return server;
  }

  get running() {
    return this.#child !== null;
  }

  /** Resolves when the address is printed. */
  async start() {
    const args = ["dev", "--data", this.data, "--port", String(this.port), ...this.args];
    const [command, ...before] = this.bin.endsWith(".mjs") ? [process.execPath, this.bin] : [this.bin];
    const child = spawn(command, [...before, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    // A test that ends before its time must not leave a server behind.
    const orphaned = () => child.kill("SIGKILL");
    process.once("exit", orphaned);
    this.#child = child;
    this.#ended = once(child, "exit").then((how) => {
      process.off("exit", orphaned);
      if (this.#child === child) this.#child = null;
      return how;
    });
    this.url = await this.#address(child);
  }

  #address(child) {
    return new Promise((resolve, reject) => {
      let line = "";
      const fail = (why) => reject(new Error(`${this.bin} ${why}\n${this.output}`));
      const deadline = setTimeout(
        () => (child.kill("SIGKILL"), fail(`printed no address in ${START_MS} ms`)),
        START_MS,
      );
      const read = (piece) => {
        this.output = (this.output + piece).slice(-KEPT_OUTPUT);
        line = (line + piece).slice(-4096);
        const found = line.match(ADDRESS);
        if (found) (clearTimeout(deadline), resolve(found[0]));
      };
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", read);
      child.on("error", (error) => fail(error.message));
      child.on("exit", (code, signal) => (clearTimeout(deadline), fail(`ended with ${code ?? signal}`)));
    });
  }

  /** As a power cut of the process: no handler runs. */
  async kill9() {
    await this.#signal("SIGKILL");
  }

  /** As Ctrl-C does; by force if that takes too long, which is an error. Resolves with the exit code. */
  async interrupt(signal = "SIGINT") {
    const child = this.#child;
    let forced = false;
    const deadline = setTimeout(() => (forced = true) && child.kill("SIGKILL"), STOP_MS);
    const [code] = await this.#signal(signal);
    clearTimeout(deadline);
    if (forced) throw new Error(`the server did not stop in ${STOP_MS} ms\n${this.output}`);
    return code;
  }

  /** Ends it, if it runs, and whatever it kept goes. */
  async stop() {
    try {
      return this.running ? await this.interrupt() : undefined;
    } finally {
      await this.#forget();
    }
  }

  async #signal(signal) {
    this.#child?.kill(signal);
    return this.#ended;
  }

  async #forget() {
    if (this.temporary) await rm(this.data, { recursive: true, force: true });
  }
}

/** A port of loopback that nobody uses just now. */
export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
