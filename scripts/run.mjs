// Runs a program to its end, with its output in a log, and shows its progress.

import { spawn } from "node:child_process";

/** How often the progress of a long step is printed where the output is no terminal. */
const STILL_MS = 60_000;
const PARTIAL_LINE = 4096;

/** The running child. Each child leads a process group, so that the processes that it starts end with it. */
let current = null;

/** Resolves with the exit code; 1 when it was ended by a signal, could not be started, or took longer than `limit`. */
export function run(program, args, { cwd, log, limit, environment }) {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const progress = new Progress();
    const deadline = setTimeout(() => {
      log.write(`\nstopped: it took longer than ${limit / 60_000} minutes\n`);
      end(child, "SIGKILL");
    }, limit);
    const finish = (code) => {
      clearTimeout(deadline);
      progress.end();
      if (current === child) current = null;
      resolve(code);
    };
    current = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (piece) => {
        log.write(piece);
        progress.read(piece);
      });
    }
    child.on("error", (error) => {
      log.write(`${program} could not be started: ${error.message}\n`);
      finish(1);
    });
    // Processes that it has left behind would keep its output open.
    child.on("exit", () => end(child, "SIGKILL"));
    child.on("close", (code) => finish(code ?? 1));
  });
}

function end(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The process group has ended.
  }
}

/** A signal that stops this program also stops the running child. */
export function stopOnSignals() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.once(signal, () => {
      if (current) end(current, signal);
      process.exit(130);
    });
  }
}

/** Shows a program's last line of output: on a terminal in a line that is overwritten, elsewhere in a line a minute. */
class Progress {
  #begun = performance.now();
  #line = "";
  #last = "";
  #timer;
  #live = process.stdout.isTTY;

  constructor() {
    this.#timer = setInterval(() => this.#show(), this.#live ? 500 : STILL_MS);
  }

  read(piece) {
    const lines = (this.#line + piece).slice(-PARTIAL_LINE).split(/[\r\n]+/);
    this.#line = lines.pop();
    this.#last = lines.map((line) => line.trim()).filter(Boolean).at(-1) ?? this.#last;
  }

  #show() {
    const seconds = Math.round((performance.now() - this.#begun) / 1000);
    const line = this.#last.replace(/[^\x20-\x7e]/g, "");
    if (!this.#live) return console.log(`    … ${seconds} s: ${line.slice(0, 100)}`);
    process.stdout.write(`\r\x1b[K    ${seconds} s  ${line}`.slice(0, (process.stdout.columns ?? 80) + 3));
  }

  end() {
    clearInterval(this.#timer);
    if (this.#live) process.stdout.write("\r\x1b[K");
  }
}
