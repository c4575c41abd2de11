// `chorus build`: the rooms of a project into components.

import { constants, setPriority } from "node:os";
import { join, resolve } from "node:path";

import { argumentsOf, command } from "../arguments.mjs";
import { build, mistakesOf, roomsFolder } from "../project.mjs";

const HELP = `Usage: chorus build [options] [kind …]

Builds the rooms of a project into WebAssembly components, those that have changed; all of them when none is named. The exit code
is 1 if one does not build.

  --rooms DIR   the folder of rooms (default: CHORUS_ROOMS, or the nearest rooms/ or guests/)
  --out DIR     where the components and manifest.json go (default: dist in the folder of rooms)
  --lobby       the default lobby too, if the project has none
  --first KIND  build this one before the others; may be repeated
  --background  run at a low priority, so that a server on the same cores keeps serving
  --json        one line of JSON for each room, as soon as it is built: { kind, ok, bytes, ms, warnings, … } or { kind, ok, errors }
`;

const OPTIONS = {
  rooms: { type: "string" }, out: { type: "string" }, lobby: { type: "boolean" }, first: { type: "string", multiple: true },
  background: { type: "boolean" }, json: { type: "boolean" },
};

export function main(args) {
  return command(args, async () => {
    const given = argumentsOf(args, HELP, { options: OPTIONS });
    if (given === undefined) return 0;
    const rooms = roomsFolder(given.values.rooms);
    const out = given.values.out === undefined ? join(rooms, "dist") : resolve(given.values.out);
    const { lobby, first, background, json } = given.values;
    if (background) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    const reports = await build(rooms, { names: given.positionals, out, lobby, first, report: (one) => print(one, json) });
    if (reports.length === 0) throw new Error(`there are no rooms in ${rooms}: a room is a folder with an index.js or index.ts`);
    return reports.every(({ ok }) => ok) ? 0 : 1;
  });
}

function print({ done, of, ...report }, json) {
  if (json) return console.log(JSON.stringify(report));
  if (!report.ok) return console.error(`${report.kind}: it does not build\n${mistakesOf(report).replace(/^/gm, "  ")}`);
  console.log(`${report.kind.padEnd(24)} ${(report.bytes / 1e6).toFixed(2)} MB  ${report.kept ? "unchanged" : `${(report.ms / 1000).toFixed(1)} s`}`);
  report.warnings.forEach((warning) => console.warn(`  warning: ${warning}`));
}
