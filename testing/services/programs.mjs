/**
 * Programs that a service needs: found on this machine, else installed from Debian's packages where that is allowed,
 * else an error with instructions. And processes: their last output is kept, and each is ended by its own handle.
 */

import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";

const KEPT_OUTPUT = 16 * 1024;
const IS_ROOT = process.getuid?.() === 0;

/** Where a program is on the PATH, or null. */
export function which(name) {
  const places = (process.env.PATH ?? "").split(delimiter).map((dir) => join(dir, name));
  return places.find((place) => existsSync(place)) ?? null;
}

/** Resolves with the result of `find`, if need be after installing these packages. `instead` ends the error's text. */
export async function findOrInstall(what, find, packages, instead) {
  const found = await find();
  if (found) return found;
  const hint = `install it (Debian: apt-get install ${packages.join(" ")}), or ${instead}`;
  if (!IS_ROOT || !which("apt-get")) throw new Error(`${what} is not on this machine: ${hint}`);
  console.error(`${what} is not on this machine: installing ${packages.join(" ")} …`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = () => run("apt-get", ["install", "-y", "--no-install-recommends", ...packages], { env });
  try {
    await install().catch(async () => {
      await run("apt-get", ["update"], { env });
      await install();
    });
  } catch (error) {
    throw new Error(`${what} is not on this machine and could not be installed: ${hint}\n${error.message}`);
  }
  const installed = await find();
  if (!installed) throw new Error(`${what} is still not found after installing ${packages.join(" ")}: ${hint}`);
  return installed;
}

/** Runs a program to its end and resolves with its output. If it fails, the error contains its last output. */
export async function run(command, args, options = {}) {
  const child = start(command, args, options);
  const code = await child.ended;
  if (code !== 0) throw new Error(`${command} ended with ${code}\n${child.output()}`);
  return child.output();
}

/** Starts a program that ends with this process, where the system can guarantee that. */
export function start(command, args, { user, ...options } = {}) {
  const [program, ...rest] = [...wrapper(user), command, ...args];
  const child = spawn(program, rest, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (piece) => (output = (output + piece).slice(-KEPT_OUTPUT));
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", keep);
  child.on("error", (error) => keep(`${error.message}\n`));
  child.ended = new Promise((resolve) => {
    child.on("error", () => resolve("an error"));
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  child.output = () => output;
  return child;
}

function wrapper(user) {
  const setpriv = process.platform === "linux" ? which("setpriv") : null;
  if (!setpriv && user) throw new Error(`setpriv (Debian: util-linux) is needed to run a server as ${user}`);
  const as = user ? ["--reuid", user, "--regid", user, "--init-groups"] : [];
  return setpriv ? [setpriv, ...as, "--pdeathsig", "KILL"] : [];
}

/** The user that servers run as: PostgreSQL refuses root. */
export const SERVER_USER = IS_ROOT ? "postgres" : undefined;

/** Sends a signal, and waits until the process has ended. */
export async function end(child, signal) {
  child.kill(signal);
  await child.ended;
}

/** Repeats `ask` until its result is not false. Fails with the process's last output when that ends or takes too long. */
export async function until(what, child, ask, withinMs = 60_000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask().catch(() => false);
    if (answer) return answer;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${what} ended\n${child.output()}`);
    if (Date.now() > deadline) throw new Error(`${what} does not answer after ${withinMs} ms\n${child.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * A free port of loopback, outside of the range from which the system assigns ports to connections and to listeners without a
 * port. So it stays free until its user listens on it, and when that process is restarted.
 */
export async function freePort() {
  for (;;) {
    const port = LOWEST_PORT + randomInt(firstOfTheSystem() - LOWEST_PORT);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

export const freePorts = (count) => Promise.all(Array.from({ length: count }, freePort));

const LOWEST_PORT = 10_000;
/** Ports that this process has returned. Their users may not listen on them yet. */
const given = new Set();

/** The first port that the system assigns by itself: read on Linux; no lower than this elsewhere. */
function firstOfTheSystem() {
  const range = "/proc/sys/net/ipv4/ip_local_port_range";
  const first = existsSync(range) ? Number.parseInt(readFileSync(range, "utf8"), 10) : 32_768;
  if (first < LOWEST_PORT + 1000) throw new Error(`${range} leaves no ports for tests: it must begin above ${LOWEST_PORT + 1000}`);
  return first;
}

async function isFree(port) {
  const probe = createServer().listen(port, "127.0.0.1");
  const free = await once(probe, "listening").then(() => true, () => false);
  if (free) await new Promise((resolve) => probe.close(resolve));
  return free;
}
