// The processes of a benchmark: servers on one core, players on another, if there are two and `taskset`.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const GUESTS = join(ROOT, "guests");
export const COLYSEUS = "testing/peers/colyseus";

export const hasTaskset = spawnSync("taskset", ["--version"]).status === 0 && cpus().length > 1;
export const pinned = (core, program, args) => (hasTaskset ? ["taskset", ["-c", `${core}`, program, ...args]] : [program, args]);

/** Running processes and the directory of their data: ended and deleted when this process exits. */
const running = new Set();
export const scratch = mkdtempSync(join(tmpdir(), "chorus-bench-"));
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** Starts a server on core 0, and resolves when it has printed its address. `taskset` execs it, so the pid is the server's. */
async function serve(program, args, announcement, env = {}) {
  const child = spawn(...pinned(0, program, args), { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
  running.add(child);
  child.once("exit", () => running.delete(child));
  for await (const line of createInterface({ input: child.stdout })) {
    const at = announcement.exec(line);
    if (at) {
      child.stdout.resume();
      return { child, pid: child.pid, address: at[1] };
    }
  }
  throw new Error(`${args.join(" ")} ended before it printed its address`);
}

export async function stop(server) {
  const gone = new Promise((resolve) => server.child.once("exit", resolve));
  server.child.kill("SIGTERM");
  await gone;
}

/** All players have one address, and send as fast as they can. */
export const ROOMY = [
  ...["--rate", "1000000", "--byte-rate", "1000000000", "--compute-rate", "100000"],
  ...["--new-connections", "1000000", "--new-sessions", "1000000", "--max-connections-per-address", "100000"],
];

/** No room hibernates. */
export const AWAKE = ["--hibernate-after", "3600"];

/** The servers and the players of one binary; `seconds` is how long a scenario is measured. */
export class Servers {
  #count = 0;

  constructor(bin, seconds) {
    Object.assign(this, { bin, seconds });
  }

  floor() {
    return serve(this.bin, ["load", "floor"], /ws:\/\/([\d.:]+)\//);
  }

  /** `limits`: with the default limits, for the scenarios that they are meant for. `data`: a directory of an earlier server. */
  async chorus({ fsync = "background", guests, more = [], limits = false, lobby = "bench-lobby", data = this.directory() } = {}) {
    const base = ["dev", "--fixtures", "--lobby", lobby, ...(limits ? [] : ROOMY), "--port", "0", "--fsync", fsync, "--data", data];
    const where = guests ? ["--guests", guests] : ["--guests", GUESTS, "--no-watch"];
    return { ...(await serve(this.bin, [...base, ...where, ...more], /https?:\/\/([\d.:]+)\//)), data };
  }

  directory() {
    return join(scratch, `data-${this.#count++}`);
  }

  /** In production, and with a collector that can be asked to collect. */
  async colyseus(more = []) {
    const server = join(ROOT, COLYSEUS, "server.mjs");
    const args = ["--expose-gc", server, ...more];
    return { ...(await serve(process.execPath, args, /http:\/\/([\d.:]+)\//, { NODE_ENV: "production" })), protocol: "colyseus" };
  }

  /** Runs one scenario on core 1. Resolves with its report, or prints that it failed and resolves with null. */
  report(server, args, options) {
    return this.#started(server, args, options).report;
  }

  /** A scenario's process, and its report. `nice`: of lower priority than the others on its core. */
  #started(server, args, { raw = false, path = "/echo", warmUp = 1, measure = this.seconds, nice = false, stdin = "ignore" } = {}) {
    const url = `${server.certificate ? "wss" : "ws"}://${server.address}${raw ? path : "/ws"}`;
    const common = ["load", "--url", url, "--server-pid", `${server.pid}`, "--seconds", `${measure}`, "--warm-up", `${warmUp}`, "--json"];
    const protocol = raw ? ["--raw"] : server.protocol === "colyseus" ? ["--colyseus"] : server.certificate ? ["--certificate", server.certificate] : [];
    const [program, ...rest] = nice ? ["nice", "-n", "10", this.bin] : [this.bin];
    const child = spawn(...pinned(1, program, [...rest, ...common, ...protocol, ...args]), { stdio: [stdin, "pipe", "inherit"] });
    running.add(child);
    let text = "", ready;
    const isReady = new Promise((resolve) => { ready = resolve; });
    child.stdout.setEncoding("utf8").on("data", (piece) => {
      text += piece;
      if (text.includes("\n")) ready();
    });
    const report = new Promise((resolve) => child.once("close", resolve)).then((code) => {
      running.delete(child);
      ready();
      if (code === 0) return JSON.parse(text.replace(/^ready\n/, ""));
      console.error(`(${args.join(" ")} failed)`);
      return null;
    });
    return { child, isReady, report };
  }

  /** A siege by two processes: the attackers give way to the honest players, with whom they share a core. Resolves with the figures of both. */
  async siege(server, attack, rounds) {
    const parts = ["players", "attackers"].map((part) =>
      this.#started(server, ["siege", attack, "--part", part, "--rounds", `${rounds}`], { nice: part === "attackers", stdin: "pipe" }));
    await Promise.all(parts.map(({ isReady }) => isReady));
    const begin = Date.now() + 1_000;
    for (const { child } of parts) child.stdin.on("error", () => {}).end(`${begin}\n`);
    const reports = await Promise.all(parts.map(({ report }) => report));
    return reports.includes(null) ? null : Object.assign({}, ...reports.map(({ figures }) => figures));
  }

  async load(server, args, options) {
    return (await this.report(server, args, options))?.figures ?? null;
  }
}

/** Installs Colyseus in its folder, and names what is compared. */
export function installColyseus() {
  const installed = spawnSync(process.execPath, [join(ROOT, "scripts", "setup.mjs"), COLYSEUS], { stdio: ["ignore", "inherit", "inherit"] });
  if (installed.status !== 0) throw new Error("Colyseus could not be installed");
  const { version } = JSON.parse(readFileSync(join(ROOT, COLYSEUS, "node_modules/@colyseus/core/package.json"), "utf8"));
  return { colyseus: version, node: process.versions.node };
}
