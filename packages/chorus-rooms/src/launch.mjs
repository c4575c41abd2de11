// Which program carries out a command, and the native program as a child: it gets the terminal, the signals, and decides the exit code.

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

import { printError } from "./arguments.mjs";

/** Commands of this package: each is a module with a `main`. */
const OWN = {
  new: "creates a project from a template: rooms, a page, tests",
  test: "tests the rooms of a project: its stories, and random play",
  check: "holds the rooms of a project to the contract and to determinism",
  bots: "plays on a running server with scripted clients, and measures",
  build: "builds the rooms of a project into components",
};

/** This command, which builds the rooms of a project that has not installed the package. */
const COMMAND = fileURLToPath(new URL("../bin/chorus.mjs", import.meta.url));

/** Signals that are passed on, as which. */
const SIGNALS = { SIGINT: "SIGINT", SIGTERM: "SIGTERM", SIGHUP: "SIGTERM" };

/** The interval at which the parent is looked for. */
const PARENT_MS = 250;

/** The package with the native program for this machine. */
const NATIVE = `chorus-rooms-${process.platform}-${process.arch}`;

const HELP = `Usage: chorus <command> [options]

Of this package:
${Object.entries(OWN).map(([name, what]) => `  ${name.padEnd(8)} ${what}`).join("\n")}

All others are those of the native program, which comes with ${NATIVE} or is named by CHORUS_BIN.
`;

export async function main([command, ...args]) {
  if (Object.hasOwn(OWN, command ?? "")) {
    const { main } = await import(`./commands/${command}.mjs`);
    process.exitCode = await main(args);
    return;
  }
  const program = native();
  const wantsHelp = command === undefined || ["help", "--help", "-h"].includes(command);
  if (wantsHelp) console.log(HELP);
  if (program !== undefined) return run(program, wantsHelp ? ["--help"] : [command, ...args]);
  if (wantsHelp) return;
  printError(args, missing(command));
  process.exitCode = 1;
}

/** The path of the native program; undefined if there is none for this machine. */
export function native(environment = process.env) {
  if (environment.CHORUS_BIN) return environment.CHORUS_BIN;
  try {
    return createRequire(import.meta.url).resolve(`${NATIVE}/chorus`);
  } catch {
    return undefined;
  }
}

function missing(command) {
  const { optionalDependencies = {} } = createRequire(import.meta.url)("chorus-rooms/package.json");
  const others = `Without it there are: ${Object.keys(OWN).join(", ")}.`;
  const needs = `chorus ${command} needs the native program`;
  const build = "build it from source and name it: CHORUS_BIN=/path/to/chorus.";
  if (Object.hasOwn(optionalDependencies, NATIVE) && !isMusl()) {
    return `${needs}, and its package ${NATIVE} is not installed. npm has been told to leave out optional packages, or could not get it:\n  npm install --include=optional chorus-rooms\nOr ${build} ${others}`;
  }
  const place = process.platform === "win32" ? "install chorus-rooms in WSL2 (wsl --install)" : "run it in a Linux container, with Node's Debian image for example";
  return `${needs}, and there is none for ${process.platform} on ${process.arch}${isMusl() ? " with musl" : ""}. Either ${place},\nor ${build} ${others}`;
}

/** A Linux with another C library than that for which the program is built. */
function isMusl() {
  return process.platform === "linux" && !process.report.getReport().header.glibcVersionRuntime;
}

function run(program, args) {
  if (!existsSync(program)) {
    printError(args, `${program} is not there: CHORUS_BIN names the native program`);
    process.exitCode = 1;
    return;
  }
  // Read now: see `stopWithParent`.
  const parent = process.env.npm_command === undefined ? undefined : process.ppid;
  if (parent !== undefined && isOrphan(parent)) {
    process.exitCode = 128 + constants.signals.SIGTERM;
    return;
  }
  let child;
  // A signal to this process alone means the child: npm passes on what it gets. A terminal sends Ctrl-C to both, and the child stops at the
  // first. A terminal that is closed stops it in good order too. From before there is a child: it would be left alone.
  for (const [signal, sent] of Object.entries(SIGNALS)) process.on(signal, () => child.kill(sent));
  child = spawn(program, args, { stdio: "inherit", env: { CHORUS_ROOMS_COMMAND: COMMAND, ...process.env } });
  if (parent !== undefined) stopWithParent(parent, child);
  child.on("error", (error) => {
    printError(args, `${program} could not be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => { process.exit(code ?? 128 + (constants.signals[signal] ?? 1)); });
}

/**
 * npm runs a command by a shell, and passes signals on to the shell, which ends by them and leaves its child alone. So under npm and npx the
 * end of the parent is that of the child.
 */
function stopWithParent(parent, child) {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill("SIGTERM");
  }, PARENT_MS);
  watch.unref();
}

/**
 * Whether the shell has ended before this process could look, so that its parent is the system's: only that one is of another session, unless
 * this process began a session itself. Where sessions cannot be read there is no answer, and none is assumed.
 */
function isOrphan(parent) {
  try {
    const session = sessionOf(process.pid);
    return session !== process.pid && sessionOf(parent) !== session;
  } catch {
    return false;
  }
}

/** Of Linux. After the program's name, which may have blanks, are: state, parent, group, session. */
const sessionOf = (pid) => Number(readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1).split(" ")[3]);
