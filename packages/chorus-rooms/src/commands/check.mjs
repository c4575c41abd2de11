// `chorus check`: holds the rooms of a project, or components, to the contract and to determinism.

import { existsSync } from "node:fs";
import { basename, join } from "node:path";

import { argumentsOf, command, WrongArguments } from "../arguments.mjs";
import { check } from "../check.mjs";
import { Component, NotRunnable } from "../component.mjs";
import { build, mistakesOf, roomsFolder, shownFolder } from "../project.mjs";

const HELP = `Usage: chorus check [options] [kind | component.wasm …]

Builds the rooms of a project, and holds their components to the contract and to determinism: the world, the manifest, sizes; random
records on two instances, and with a restore before every record; no module state that a call leaves changed. All kinds when none
is named.

  --runs N       random plays whose records are compared, for each component (default 20)
  --seed N       their seed (default 1)
  --options JSON the options of onCreate
  --rooms DIR    the folder of rooms (default: CHORUS_ROOMS, or the nearest rooms/ or guests/)
  --json         one line of JSON for each component: { kind, ok, records, errors, warnings }

The exit code is 1 if something is wrong.
`;

const OPTIONS = { options: { type: "string" }, rooms: { type: "string" }, json: { type: "boolean" } };

export function main(args) {
  return command(args, async () => {
    const given = argumentsOf(args, HELP, { options: OPTIONS, numbers: ["runs", "seed"] });
    if (given === undefined) return 0;
    const { values: { runs, seed, options, rooms, json }, positionals } = given;
    const createOptions = options === undefined ? undefined : jsonOf(options);
    let ok = true;
    for await (const { kind, component, errors = [] } of components(rooms, positionals)) {
      const { wrong, warnings, records } = component === undefined ? { wrong: errors, warnings: [], records: 0 } : check(component, { runs, seed, options: createOptions });
      ok &&= wrong.length === 0;
      print({ kind, ok: wrong.length === 0, records, errors: wrong, warnings }, json);
    }
    return ok ? 0 : 1;
  });
}


/** Those named, or all of the project: `{ kind, component }`, or the `errors` because of which there is none. */
async function* components(folder, names) {
  const files = names.filter((name) => name.endsWith(".wasm")), kinds = names.filter((name) => !name.endsWith(".wasm"));
  for (const file of files) {
    if (!existsSync(file)) throw new WrongArguments(`there is no file ${file}`);
    yield read(basename(file, ".wasm"), file, "");
  }
  if (files.length > 0 && kinds.length === 0) return;
  const rooms = roomsFolder(folder);
  for (const report of await build(rooms, { names: kinds })) {
    if (!report.ok) yield { kind: report.kind, errors: [`it does not build: ${mistakesOf(report)}`] };
    else yield read(report.kind, join(rooms, "dist", report.file), shownFolder(rooms));
  }
}

function read(kind, file, shown) {
  try {
    return { kind, component: Component.read(file, { kind, shown }) };
  } catch (error) {
    if (!(error instanceof NotRunnable)) throw error;
    return { kind, errors: [error.message] };
  }
}

function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WrongArguments(`--options is no JSON: ${error.message}`);
  }
}

function print({ kind, ok, records, errors, warnings }, json) {
  if (json) return console.log(JSON.stringify({ kind, ok, records, errors, warnings }));
  for (const warning of warnings) console.warn(`warning: ${warning}`);
  if (ok) return console.log(`${kind}: ok, ${records} records`);
  console.error(`${kind}: ${errors.length} ${errors.length === 1 ? "thing is" : "things are"} wrong`);
  for (const error of errors) console.error(error.replace(/^/gm, "  "));
}
