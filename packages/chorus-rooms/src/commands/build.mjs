// `chorus build`: the rooms of a project into components, and all of them into one file, which `chorus serve` serves.

import { existsSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";

import { argumentsOf, command } from "../arguments.mjs";
import { writeBundle } from "../bundle.mjs";
import { build, mistakesOf, roomsFolder } from "../project.mjs";

const HELP = `Usage: chorus build [options] [kind …]

Builds the rooms of a project into WebAssembly components, those that have changed; all of them when none is named. The exit code
is 1 if one does not build.

In a project, that is beside a package.json, a build of all rooms also makes one file of them and of the default lobby, if the project
has none: dist/NAME.chorus, which \`chorus serve\` serves.

  --rooms DIR   the folder of rooms (default: CHORUS_ROOMS, or the nearest rooms/ or guests/)
  --out DIR     where the components and manifest.json go (default: dist in the folder of rooms)
  --lobby       the default lobby too, if the project has none
  --first KIND  build this one before the others; may be repeated
  --background  run at a low priority, so that a server on the same cores keeps serving
  --json        one line of JSON for each room, as soon as it is built: { kind, ok, bytes, ms, warnings, … } or { kind, ok, errors };
                and { ok, bundle, bytes } for the one file
`;

const OPTIONS = {
  rooms: { type: "string" }, out: { type: "string" }, lobby: { type: "boolean" }, first: { type: "string", multiple: true },
  background: { type: "boolean" }, json: { type: "boolean" },
};

export function main(args) {
  // `chorus dev` expects rooms alone in the lines, and reads an error that ends the build from the standard error.
  const shown = args.includes("--background") ? args.filter((arg) => arg !== "--json") : args;
  return command(shown, async () => {
    const given = argumentsOf(args, HELP, { options: OPTIONS });
    if (given === undefined) return 0;
    const rooms = roomsFolder(given.values.rooms);
    const out = given.values.out === undefined ? join(rooms, "dist") : resolve(given.values.out);
    const { lobby, first, background, json } = given.values;
    // `chorus dev` builds at a low priority, and needs no bundle.
    const root = background || basename(rooms) !== "rooms" || given.positionals.length > 0 ? undefined : projectOf(rooms);
    if (background) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    const reports = await build(rooms, { names: given.positionals, out, lobby: lobby || root !== undefined, first, report: (one) => print(one, json) });
    if (reports.length === 0) throw new Error(`there are no rooms in ${rooms}: a room is a folder with an index.js or index.ts`);
    if (!reports.every(({ ok }) => ok)) return 1;
    if (root !== undefined) {
      const { path, bytes } = await writeBundle(root, reports, out, given.values.out === undefined ? join(root, "dist") : out);
      const shown = relative(process.cwd(), path);
      console.log(json ? JSON.stringify({ ok: true, bundle: shown, bytes }) : `${shown}  ${(bytes / 1e6).toFixed(2)} MB`);
    }
    return 0;
  });
}

/** The folder above the rooms, if it has a package.json. */
function projectOf(rooms) {
  const root = dirname(rooms);
  return existsSync(join(root, "package.json")) ? root : undefined;
}

function print({ done, of, ...report }, json) {
  if (json) return console.log(JSON.stringify(report));
  if (!report.ok) return console.error(`${report.kind}: it does not build\n${mistakesOf(report).replace(/^/gm, "  ")}`);
  console.log(`${report.kind.padEnd(24)} ${(report.bytes / 1e6).toFixed(2)} MB  ${report.kept ? "unchanged" : `${(report.ms / 1000).toFixed(1)} s`}`);
  report.warnings.forEach((warning) => console.warn(`  warning: ${warning}`));
}
