// Builds guests into components: `node guests/build.mjs [--out DIR] [--guests DIR] [--no-fixtures] [--json] [kind | path …]`.
//
// Without names, every kind and every fixture is built. Unchanged guests are skipped. Exit code 1 when any guest failed.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { printable } from "./build/error.mjs";

const GUESTS = fileURLToPath(new URL(".", import.meta.url));
const SDK = join(GUESTS, "sdk/");
/** The kind that every session joins first. */
const LOBBY = "lobby";
/** Concurrent builds. Each keeps one core busy. */
const AT_ONCE = 2;

const HELP = `Usage: node guests/build.mjs [options] [kind | path …]

Builds guests into WebAssembly components; all of them when none is named. Only what changed is built.

  --out DIR        where the components and manifest.json go (default: dist in the folder of guests)
  --guests DIR     the folder of guests (default: the one of this file)
  --first KIND     build this one before the others; may be repeated
  --background     run at a low priority, so that a server on the same cores keeps serving
  --no-fixtures    leave out the tests' guests in fixtures/
  --json           one line of JSON for each guest: { kind, ok, digest, file, bytes, ms, kept, warnings, error? }
`;

/**
 * Builds the named guests and reports each when it is done. Resolves with whether all succeeded. `lobby`: a folder without a lobby gets
 * the one beside this file.
 */
export async function buildAll(options = {}) {
  const { guests = GUESTS, out = join(guests, "dist"), fixtures = true, lobby = false, first = [], names = [], report = () => {} } = options;
  const { allGuests, namedGuest, shownPath } = await import("./build/sources.mjs");
  const { unreadable } = await import("./build/error.mjs");
  const { Dist } = await import("./build/dist.mjs");
  const dist = new Dist(resolve(out));
  const all = allGuests(guests);
  if (lobby && !all.some(({ kind }) => kind === LOBBY)) all.push({ kind: LOBBY, path: join(GUESTS, LOBBY), fixture: false });
  const isLate = ({ kind }) => (first.includes(kind) ? 0 : 1);
  const wanted = names.length > 0 ? names : all.filter((guest) => fixtures || !guest.fixture).sort((a, b) => isLate(a) - isLate(b));
  const inspected = inspectOnce();
  let done = 0, ok = true;

  const one = async (guest) => {
    const started = performance.now();
    const since = () => Math.round(performance.now() - started);
    const kind = typeof guest === "string" ? guest : guest.kind;
    let result;
    try {
      const found = typeof guest === "string" ? namedGuest(guests, guest) : guest;
      result = { kind: found.kind, ok: true, ...(await build(found, dist, all, inspected)), ms: since() };
    } catch (error) {
      // The guest was deleted during its build: there is nothing to report.
      if (guest.path !== undefined && !existsSync(guest.path)) return;
      const errors = (error.list ?? [error]).map((one) => plainError(one, kind, { shownPath, unreadable }));
      result = { kind, ok: false, ms: since(), error: errors[0], errors };
      ok = false;
    }
    done += 1;
    report({ ...result, done, of: wanted.length });
  };

  const waiting = [...wanted];
  const worker = async () => { while (waiting.length > 0) await one(waiting.shift()); };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (names.length === 0) dist.prune(all.map(({ kind }) => kind));
  return ok;
}

/** An author's mistake with its place; any other error is a bug of the build, and has its stack trace. */
function plainError(error, kind, { shownPath, unreadable }) {
  const { file, line, column, message, stack } = error;
  if (file !== undefined) return { file, line, column, message };
  const words = unreadable(error);
  if (words !== undefined) return { file: shownPath(error.path), line: 0, column: 0, message: words };
  return { file: kind, line: 0, column: 0, message: stack };
}

/** Bundles and inspects each guest once, though a lobby needs all of them: `{ entry, chosen, bundled, offer, warnings }`. */
function inspectOnce() {
  const known = new Map();
  return (guest) => {
    if (!known.has(guest.path)) known.set(guest.path, inspected(guest, {}));
    return known.get(guest.path);
  };
}

/** `kinds`: see `bundle`. */
async function inspected(guest, kinds) {
  const { entryOf, isFile } = await import("./build/sources.mjs");
  const { bundle } = await import("./build/bundle.mjs");
  const { inspect } = await import("./build/inspect.mjs");
  const { entry, warnings: chosen } = entryOf(guest);
  const bundled = await bundle(entry, isFile(guest.path) ? dirname(guest.path) : guest.path, kinds);
  return { entry, chosen, bundled, ...inspect(bundled, entry, SDK) };
}

async function build(guest, dist, all, inspectedOnce) {
  const { kindsOf, offerOf } = await import("./build/kinds.mjs");
  let made = await inspectedOnce(guest);
  if (made.bundled.isLobby) made = await inspected(guest, await kindsOf(all, inspectedOnce, dist.manifest()));
  const sourceHash = await hashOf(made.bundled);
  const kept = dist.kept(guest.kind, sourceHash);
  const { digest, file, bytes } = kept ?? (await make(made, guest.kind, sourceHash, offerOf(made), dist));
  return { digest, file, bytes, kept: kept !== undefined, warnings: [...made.chosen, ...made.warnings].map(String) };
}

async function make({ bundled, entry }, kind, sourceHash, offer, dist) {
  const { componentize } = await import("./build/component.mjs");
  const started = performance.now();
  const component = await componentize(bundled, entry);
  return dist.keep(kind, component, { sourceHash, ms: Math.round(performance.now() - started), offer });
}

/** The hash of a component's inputs: its files and the SDK's (as bundled), the contract, the tools and their options. */
async function hashOf(bundled) {
  const { sha256 } = await import("./build/dist.mjs");
  const { toolsOf, WIT } = await import("./build/component.mjs");
  const wit = readdirSync(WIT).sort().map((file) => readFileSync(join(WIT, file), "utf8"));
  const packages = readFileSync(join(GUESTS, "package-lock.json"), "utf8");
  return sha256(bundled.module ?? bundled.guest, bundled.map, ...wit, packages, toolsOf(bundled));
}

function printReport(result) {
  const count = `[${result.done}/${result.of}]`;
  if (!result.ok) {
    console.error(`${count} ${result.kind}: failed`);
    for (const { file, line, column, message } of result.errors) {
      console.error(printable(`  error: ${line > 0 ? `${file}:${line}:${column}` : file}: ${message}`));
    }
    return;
  }
  const size = `${(result.bytes / 1e6).toFixed(2)} MB`;
  const how = result.kept ? "unchanged" : `${(result.ms / 1000).toFixed(1)} s`;
  console.log(`${count} ${result.kind.padEnd(24)} ${size}  ${how}`);
  result.warnings.forEach((warning) => console.warn(printable(`  warning: ${warning}`)));
}

function printJson({ done, of, ...result }) {
  console.log(JSON.stringify(result));
}

const ARGUMENTS = {
  out: { type: "string" },
  guests: { type: "string" },
  first: { type: "string", multiple: true },
  background: { type: "boolean" },
  "no-fixtures": { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

async function main() {
  const given = argumentsOrNull();
  if (given === null) return;
  const { values, positionals } = given;
  if (values.help) return console.log(HELP);
  if (!existsSync(join(GUESTS, "node_modules", "componentize-qjs"))) {
    console.error("the tools are not installed: run `npm ci` in guests/");
    process.exitCode = 1;
    return;
  }
  if (values.background) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const ok = await buildAll({
    out: values.out,
    guests: values.guests && resolve(values.guests),
    first: values.first,
    fixtures: !values["no-fixtures"],
    names: positionals,
    report: values.json ? printJson : printReport,
  });
  if (!ok) process.exitCode = 1;
}

/** Reports wrong arguments without a stack trace. */
function argumentsOrNull() {
  try {
    return parseArgs({ allowPositionals: true, options: ARGUMENTS });
  } catch (error) {
    console.error(`${error.message}\nSee --help.`);
    process.exitCode = 2;
    return null;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
