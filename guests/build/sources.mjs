// Which guests there are, and where each begins.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join, relative, resolve } from "node:path";

import { Mistake, NOWHERE } from "./error.mjs";

/** Folders below `guests/` that are not kinds. */
const NOT_KINDS = new Set(["sdk", "build", "fixtures", "test", "node_modules", "dist"]);
const KIND = /^[a-z][a-z0-9-]{0,47}$/;
const EXTENSIONS = [".js", ".ts", ".mjs", ".mts"];

/** Every guest below `root`: `{ kind, path, fixture }`, by name. */
export function allGuests(root) {
  const guests = folders(root).filter((name) => !NOT_KINDS.has(name)).map((name) => guest(join(root, name), false));
  const fixtures = join(root, "fixtures");
  const found = existsSync(fixtures) ? readdirSync(fixtures).sort() : [];
  const names = found.filter((name) => name !== "broken" && !name.startsWith("."));
  return [...guests, ...names.map((name) => guest(join(fixtures, name), true))];
}

/** The guest that somebody means by a kind or a path. */
export function namedGuest(root, name) {
  const known = allGuests(root).find(({ kind }) => kind === name);
  if (known) return known;
  const path = resolve(name);
  if (existsSync(path)) return guest(path, false);
  const kinds = allGuests(root).map(({ kind }) => kind).join(", ");
  throw new Mistake(name, NOWHERE, `no such guest; there are: ${kinds}`);
}

function guest(path, fixture) {
  return { kind: basename(path, statSync(path).isFile() ? extname(path) : ""), path, fixture };
}

function folders(root) {
  const entries = readdirSync(root, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name).sort();
}

/** The module that a guest begins with. */
export function entryOf({ kind, path }) {
  const shown = shownPath(path);
  if (!KIND.test(kind)) throw new Mistake(shown, NOWHERE, `"${kind}" cannot be a kind: use 1 to 48 of a-z, 0-9 and -, beginning with a letter`);
  if (statSync(path).isFile()) return path;
  const packageFile = join(path, "package.json");
  const main = existsSync(packageFile) ? JSON.parse(readFileSync(packageFile, "utf8")).main : undefined;
  const candidates = main ? [main] : EXTENSIONS.map((extension) => `index${extension}`);
  const found = candidates.map((name) => join(path, name)).find(existsSync);
  if (!found) throw new Mistake(shown, NOWHERE, `nothing to begin with: it needs ${main ?? "index.js or index.ts"}`);
  return found;
}

/** A path as people and editors take it: relative to where they are. */
export function shownPath(path) {
  return relative(process.cwd(), path) || path;
}
