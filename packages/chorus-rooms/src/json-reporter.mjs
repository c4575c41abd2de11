// The reporter of `chorus test --json`: a line of JSON for each test on the standard output. What tests print goes to the standard error, so that
// the output has nothing but JSON. The counts go into the file named by `CHORUS_TEST_COUNTS`: the command adds those of its runs.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { isTypeScript, javascriptOf, SOURCE_MAP } from "../../../guests/build/typescript.mjs";

/** `play` defines its tests in here: that is no place in the author's files. */
const PACKAGE = fileURLToPath(new URL(".", import.meta.url));
/** Characters of what a file has printed: enough for the error that has ended it. */
const KEPT = 4_000;
/** The reason of Node 20 for a test that `--only` leaves out; later ones have no event for it. */
const NOT_ONLY = "test name does not match pattern";
/** Lines of a stack that are Node's own. */
const NODES = /^ +at .*\(?node:[\w/]+:\d+:\d+\)?$\n?/gm;

export default async function* lines(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const printed = new Map();
  for await (const { type, data } of events) {
    if (type === "test:stdout" || type === "test:stderr") process.stderr.write(data.message);
    // An error after the end of a test is a diagnostic.
    if (type === "test:stdout" || type === "test:stderr" || type === "test:diagnostic") keep(printed, data);
    if ((type !== "test:pass" && type !== "test:fail") || repeatsParts(type, data) || data.skip === NOT_ONLY || isNoTest(type, data)) continue;
    const line = { ...lineOf(type, data, printed.get(resolve(data.file ?? ""))), play: reachedBy(data.name) };
    counts[line.skipped ? "skipped" : line.ok ? "passed" : "failed"] += 1;
    yield `${JSON.stringify(line)}\n`;
  }
  if (process.env.CHORUS_TEST_COUNTS) appendFileSync(process.env.CHORUS_TEST_COUNTS, `${JSON.stringify(counts)}\n`);
}

const told = new Set();

/** What random play has reached, which its test has written into the file that `CHORUS_TEST_REACHED` names. */
function reachedBy(name) {
  const [, kind] = /^random play of (.+)$/.exec(name) ?? [];
  if (kind === undefined || !existsSync(process.env.CHORUS_TEST_REACHED ?? "")) return undefined;
  const line = readFileSync(process.env.CHORUS_TEST_REACHED, "utf8").split("\n").find((one) => one !== "" && !told.has(one) && JSON.parse(one).kind === kind);
  told.add(line);
  return line && JSON.parse(line);
}

function keep(printed, { file = "", message }) {
  const key = resolve(file);
  printed.set(key, `${printed.get(key) ?? ""}${message}`.slice(-KEPT));
}

/** A suite that passes, and a suite or file that fails because of its parts. */
function repeatsParts(type, { details }) {
  return type === "test:pass" ? details?.type === "suite" : details?.error?.failureType === "subtestsFailed";
}

/** From Node 22 on, a file none of whose tests has run passes as a test. */
function isNoTest(type, data) { return type === "test:pass" && isFileItself(data); }

/** A file that fails as a whole is a test of its own, by its absolute path or, from Node 22 on, by the one given. */
function isFileItself({ file, name }) { return file !== undefined && resolve(name) === file; }

/** Members that are undefined are not printed. */
function lineOf(type, { file, line, name, skip, todo, details }, printed) {
  const ok = type === "test:pass", isFile = isFileItself({ file, name }), isOwn = file?.startsWith(PACKAGE);
  const shown = isOwn || file === undefined ? undefined : relative(process.cwd(), file);
  const skipped = skip !== undefined || todo !== undefined ? true : undefined;
  const error = ok ? undefined : isFile ? endOf(details.error, printed) : textOf(details.error);
  return { file: shown, line: isOwn || isFile || isMoved(file) ? undefined : line, name: isFile ? shown : name, ok, skipped, ms: Math.round(details.duration_ms), error };
}

const moved = new Map();

/** Whether the lines of a file are not those that Node has read: TypeScript that is compiled. The stack of an error has the author's all the same. */
function isMoved(file) {
  if (!moved.has(file)) moved.set(file, isTypeScript(file) && javascriptOf(readFileSync(file, "utf8"), file).includes(SOURCE_MAP));
  return moved.get(file);
}

/** Why a file has failed outside of its tests: what it has printed. */
function endOf(error, printed = "") {
  return `${printed.replace(NODES, "").trimEnd()}\nthe file has ended with ${error?.signal ? `the signal ${error.signal}` : `the exit code ${error?.exitCode}`}`.trimStart();
}

/** Node wraps what a test has thrown. */
function textOf(error) {
  const thrown = error?.cause ?? error;
  return String(thrown?.stack ?? thrown?.message ?? thrown).replace(NODES, "").trimEnd();
}
