// The folder of rooms that a command or a test belongs to, and its components.

import { statSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { buildAll } from "../../../guests/build.mjs";
import { Component } from "./component.mjs";

/** Where a test of `chorus test` finds the components, which the command has built: the folder with their `manifest.json`. */
const DIST = "CHORUS_TEST_DIST";
const ROOMS = "CHORUS_ROOMS";
const NAMES = ["rooms", "guests"];

/** The folder of rooms: the one given, the one of `CHORUS_ROOMS`, or the nearest `rooms/` or `guests/`. */
export function roomsFolder(given = process.env[ROOMS], from = process.cwd()) {
  if (given !== undefined) {
    if (!statSync(given, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${given} is no folder: name the one that has a folder for each kind of room`);
    return resolve(given);
  }
  for (let folder = from; ; folder = dirname(folder)) {
    const found = NAMES.map((name) => join(folder, name)).find((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
    if (found) return found;
    if (dirname(folder) === folder) throw new Error(`there is no folder rooms/ in ${from} or above; name it by --rooms DIR`);
  }
}

/**
 * Builds the rooms in a folder, or those named. Returns the reports of `buildAll`; `report` gets each when it is done. `first`: the kinds
 * to begin with. `lobby`: the default lobby too, if there is no other.
 */
export async function build(rooms, { names = [], out, first = [], lobby = false, report = () => {} } = {}) {
  const reports = [];
  await buildAll({ guests: rooms, out, fixtures: false, names, first, lobby, report: (one) => (reports.push(one), report(one)) });
  return reports;
}

/** The text of a report that is no success. */
export function mistakesOf({ kind, errors }) {
  return errors.map(({ file, line, column, message }) => `${line > 0 ? `${file}:${line}:${column}` : file ?? kind}: ${message}`).join("\n");
}

const known = new Map();

/** The component of a kind, or of the room in this file or folder: built if it has changed. Read once in a process. */
export async function componentOf(kindOrPath, folder) {
  const given = kindOrPath instanceof URL ? fileURLToPath(kindOrPath) : String(kindOrPath);
  const isPath = kindOrPath instanceof URL || /[\\/]/.test(given);
  const name = isPath ? resolve(given) : given;
  if (!known.has(name)) known.set(name, read(name, isPath, folder));
  return known.get(name);
}

async function read(name, isPath, folder) {
  const rooms = isPath ? dirname(name) : roomsFolder(folder);
  const shown = shownFolder(rooms);
  const dist = process.env[DIST];
  if (dist && !isPath) {
    const built = await manifestOf(dist);
    if (!Object.hasOwn(built, name)) throw new Error(`there is no room of the kind ${JSON.stringify(name)} in ${shown || "."}/; there are: ${Object.keys(built).join(", ")}`);
    return Component.read(join(dist, built[name].file), { kind: name, shown });
  }
  const out = isPath ? join(roomsFolderOr(rooms), "dist", "other") : join(rooms, "dist");
  const [report] = await build(rooms, { names: [name], out });
  if (!report.ok) throw new Error(mistakesOf(report));
  return Component.read(join(out, report.file), { kind: isPath ? basename(name, extname(name)) : name, shown });
}

function roomsFolderOr(other) {
  try {
    return roomsFolder();
  } catch {
    return other;
  }
}

async function manifestOf(dist) {
  const { Dist } = await import("../../../guests/build/dist.mjs");
  return new Dist(dist).manifest();
}

/** A folder as a reader in the current directory would name it. */
export function shownFolder(folder) {
  const path = relative(process.cwd(), folder);
  return path.startsWith("..") ? folder : path;
}

