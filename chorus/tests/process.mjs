/**
 * A process of a test: started, paused, killed and started again. It is only signalled through the handle of the child
 * that was started here, and it ends with this process where the system can guarantee that.
 */

import { start } from "../../testing/services/programs.mjs";

/** How much of the output of all runs is kept, for the messages of failures. */
const KEPT_OUTPUT = 64 * 1024;
/** Longer lines are not matched. */
const LONGEST_LINE = 4096;

export class Process {
  output = "";
  /** The output of the current run, or of the last one. */
  runOutput = "";
  #child = null;

  constructor(command, args, options = {}) {
    Object.assign(this, { name: command, command, args, options });
  }

  get running() {
    return this.#child !== null;
  }

  get pid() {
    return this.#child?.pid;
  }

  /** Starts the process. Resolves with the match as soon as the output matches `announcement`. */
  async start(announcement, withinMs) {
    if (this.running) throw new Error(`${this.name} runs already`);
    const child = start(this.command, this.args, this.options);
    const orphaned = () => child.kill("SIGKILL");
    process.once("exit", orphaned);
    this.#child = child;
    this.runOutput = "";
    this.ended = child.ended.then((how) => {
      process.off("exit", orphaned);
      if (this.#child === child) this.#child = null;
      return how;
    });
    return this.#announced(child, announcement, withinMs);
  }

  /** Resolves as soon as the output of this run matches. */
  async prints(pattern, withinMs) {
    const deadline = Date.now() + withinMs;
    while (!pattern.test(this.runOutput)) {
      if (!this.running) throw new Error(`${this.name} has ended\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`${this.name} has not printed ${pattern} in ${withinMs} ms\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Resolves with how the current run ends, or how the last one ended: an exit code, or a signal. */
  ended = Promise.resolve(null);

  signal(name) {
    this.#child?.kill(name);
  }

  /** Sends a signal, and resolves with how the process ended. */
  async end(signal) {
    this.signal(signal);
    return this.ended;
  }

  /** Ends the process like a power cut: no handler runs. */
  kill9() {
    return this.end("SIGKILL");
  }

  /** Ends the process by a signal; if that takes too long, kills it and fails. Resolves with the exit code. */
  async interrupt(signal, withinMs) {
    const forced = new Promise((resolve) => {
      const late = setTimeout(() => (this.signal("SIGKILL"), resolve(true)), withinMs);
      this.ended.then(() => (clearTimeout(late), resolve(false)));
    });
    const how = await this.end(signal);
    if (await forced) throw new Error(`${this.name} did not stop in ${withinMs} ms\n${this.output}`);
    return how;
  }

  #announced(child, announcement, withinMs) {
    return new Promise((resolve, reject) => {
      let recent = "";
      const fail = (why) => reject(new Error(`${this.name} ${why}\n${this.output}`));
      const late = setTimeout(() => {
        child.kill("SIGKILL");
        fail(`has not printed its address in ${withinMs} ms`);
      }, withinMs);
      const read = (piece) => {
        this.output = (this.output + piece).slice(-KEPT_OUTPUT);
        this.runOutput = (this.runOutput + piece).slice(-KEPT_OUTPUT);
        recent = (recent + piece).slice(-LONGEST_LINE);
        const found = recent.match(announcement);
        if (found) (clearTimeout(late), resolve(found));
      };
      for (const stream of [child.stdout, child.stderr]) stream.on("data", read);
      child.ended.then((how) => (clearTimeout(late), fail(`ended with ${how}`)));
    });
  }
}
