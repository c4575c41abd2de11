/**
 * Secrets that must not be seen: a search for them in all that processes print, answer and show of themselves.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

/** The whole output of a process is kept: this much, which no test reaches. */
const MAX_OUTPUT = 512 << 20;

/** All levels of our own crates, and of libraries up to `debug`; the compiler's own lines are about code. */
export const LOUD = `debug,cranelift_codegen=info,wasmtime=info,regalloc2=info,${["", "_bus", "_core", "_edge", "_gate", "_host", "_monitor", "_private", "_store"].map((crate) => `chorus${crate}=trace`).join(",")}`;

/** The texts that a secret may appear as. */
function forms(secret) {
  const bytes = Buffer.from(secret);
  const base64 = (text) => text.replace(/=+$/, "");
  // Within a longer text in base64, a text is at one of three places: the digits that depend on it alone.
  const within = [0, 1, 2].map((at) => base64(Buffer.concat([Buffer.alloc(at), bytes]).toString("base64")).slice(at === 0 ? 0 : at + 1, -2));
  const urlSafe = within.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  const hex = bytes.toString("hex");
  const decoded = /^([0-9a-f]{2}){16,}$/.test(secret) ? [base64(Buffer.from(secret, "hex").toString("base64"))] : [];
  const list = `[${[...bytes].join(", ")}]`.slice(1, -1);
  return [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), hex, hex.toUpperCase(), list, ...within, ...urlSafe, ...decoded];
}

export class Secrets {
  /** By name. */
  #forms = new Map();
  #texts = [];

  add(name, secret) {
    if (secret.length < 8) throw new Error(`${name}: a text of ${secret.length} characters is found by chance`);
    this.#forms.set(name, [...new Set(forms(secret))]);
    return secret;
  }

  /** A JWT: its claims are no secret, its signature is. */
  addToken(name, token) {
    this.add(name, token.split(".").at(-1));
    return token;
  }

  /** Remembers a text that must have no secret in it. `where` is for the error. */
  see(where, text) {
    this.#texts.push({ where, text: String(text) });
    return text;
  }

  /** All places with a secret. */
  found() {
    const places = [];
    for (const { where, text } of this.#texts) {
      for (const [name, all] of this.#forms) {
        const at = all.map((form) => text.indexOf(form)).find((at) => at >= 0);
        if (at !== undefined) places.push(`${name} in ${where}: …${text.slice(Math.max(0, at - 120), at)}<here>`);
      }
    }
    return places;
  }

  get seen() {
    return this.#texts.reduce((sum, { text }) => sum + text.length, 0);
  }
}

/** A process with all of its output, and its command line as other users see it. */
export class Watched {
  output = "";
  commandLine = "";

  constructor(args, env = {}, command = process.env.CHORUS_BIN) {
    this.args = args;
    this.child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = once(this.child, "close").then(([code, signal]) => code ?? signal);
    const orphaned = () => this.child.kill("SIGKILL");
    process.once("exit", orphaned);
    this.ended.finally(() => process.off("exit", orphaned));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (piece) => {
        this.output += piece;
        if (this.output.length > MAX_OUTPUT) throw new Error("too much output");
      });
    }
  }

  /** Resolves with the match as soon as the output matches. */
  async prints(pattern, withinMs) {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const found = this.output.match(pattern);
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`chorus ${this.args[0]} ended with ${this.child.exitCode}\n${this.output.slice(-4000)}`);
      if (Date.now() > deadline) throw new Error(`no ${pattern} in ${withinMs} ms\n${this.output.slice(-4000)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** As `ps` prints it, of the process itself: it has no arguments before it has been executed. */
  showCommandLine() {
    this.commandLine = readFileSync(`/proc/${this.child.pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return this.commandLine;
  }

  async stop(signal = "SIGINT") {
    this.child.kill(signal);
    return this.ended;
  }
}
