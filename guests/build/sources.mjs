// Finds the guests, and the entry file of each.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, extname, join, relative, resolve } from "node:path";

import { Mistake, NOWHERE, placeOf } from "./error.mjs";

/** Folders in `guests/` that belong to chorus. */
const RESERVED = new Set(["sdk", "build", "fixtures", "test", "node_modules", "dist"]);
const KIND = /^[a-z][a-z0-9-]{0,47}$/;
const EXTENSIONS = [".js", ".ts", ".mjs", ".mts"];
const INDEX = EXTENSIONS.map((extension) => `index${extension}`);
const CODE = /\.[mc]?[jt]sx?$/;

/** Every guest in `root`: `{ kind, path, fixture, refused? }`, by name. `refused` is the reason why one cannot be a guest. */
export function allGuests(root) {
  const guests = folders(root).filter((name) => !RESERVED.has(name)).map((name) => guest(join(root, name), false));
  const fixtures = join(root, "fixtures");
  const names = entries(fixtures).map(({ name }) => name).filter((name) => name !== "broken");
  const found = [...guests, ...names.map((name) => guest(join(fixtures, name), true)), ...misplaced(root)];
  return found.filter(Boolean);
}

/** The guest of this kind, or at this path. */
export function namedGuest(root, name) {
  const all = allGuests(root);
  const known = all.find(({ kind }) => kind === name);
  if (known) return known;
  const path = resolve(name);
  if (existsSync(path)) return guest(path, false);
  const kinds = all.map(({ kind }) => kind).join(", ");
  throw new Mistake(name, NOWHERE, `no such guest; there are: ${kinds}`);
}

/** Rooms that would not be found as guests: those in a reserved folder, or in a file beside the folders. */
function misplaced(root) {
  const reserved = [...RESERVED].filter((name) => name !== "node_modules").flatMap((name) => {
    const index = INDEX.map((file) => join(root, name, file)).find(isFile);
    const why = `a guest cannot be called "${name}": guests/${name} is one of chorus's own folders; rename the folder`;
    return index ? [{ kind: name, path: index, fixture: false, refused: why }] : [];
  });
  const files = entries(root).filter((entry) => entry.isFile() && CODE.test(entry.name)).flatMap(({ name }) => {
    const path = join(root, name);
    if (!/\bextends\s+Room\b/.test(readText(path))) return [];
    const kind = basename(name, extname(name));
    return [{ kind, path, fixture: false, refused: `a guest is a folder: move this file to guests/${kind}/index${extname(name)}` }];
  });
  return [...reserved, ...files];
}

/** `undefined` when the path was deleted meanwhile. */
function guest(path, fixture) {
  const found = statOf(path);
  return found && { kind: basename(path, found.isFile() ? extname(path) : ""), path, fixture };
}

/** Folders, by name; an empty one is not a guest yet. */
function folders(root) {
  return entries(root).filter(({ name }) => statOf(join(root, name))?.isDirectory())
    .filter(({ name }) => entries(join(root, name)).length > 0).map(({ name }) => name).sort();
}

function entries(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith(".")).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

/** The entry file of a guest, and warnings about the choice: `{ entry, warnings }`. */
export function entryOf({ kind, path, refused }) {
  const shown = shownPath(path);
  if (refused) throw new Mistake(shown, { line: 1, column: 1 }, refused);
  if (!KIND.test(kind)) throw new Mistake(shown, NOWHERE, `"${kind}" cannot be a kind: use 1 to 48 of a-z, 0-9 and -, beginning with a letter`);
  if (isFile(path)) return { entry: path, warnings: [] };
  const [index, ...others] = INDEX.filter((name) => isFile(join(path, name)));
  const main = mainOf(path);
  if (index) return { entry: join(path, index), warnings: unused(path, index, others, main) };
  if (!main) throw new Mistake(shown, NOWHERE, nothing(path));
  const found = typeof main.value === "string" ? fileOf(join(path, main.value)) : undefined;
  if (found) return { entry: found, warnings: [] };
  const what = `\`main\` is ${JSON.stringify(main.value)}, and there is no such file`;
  throw new Mistake(main.shown, main.place, `${what}; delete \`main\` and call the file of the room index.js, or name that file here`);
}

/** Warnings for files that an author may expect to be used and that are not. */
function unused(path, index, others, main) {
  const warnings = others.map((name) => new Mistake(shownPath(join(path, name)), NOWHERE, `not used: ${index} comes first; delete one of them`));
  const names = typeof main?.value === "string" ? fileOf(join(path, main.value)) : undefined;
  if (main && names !== join(path, index)) {
    const text = `\`main\` is ${JSON.stringify(main.value)} and not used: a guest begins with its ${index}; delete \`main\``;
    warnings.push(new Mistake(main.shown, main.place, text));
  }
  return warnings;
}

function nothing(path) {
  const odd = INDEX.find((name) => entries(path).some((entry) => entry.name === name));
  if (odd) return `${odd} is no file: make it the file that exports the room`;
  const code = entries(path).map(({ name }) => name).filter((name) => CODE.test(name));
  const there = code.length > 0 ? `; there is ${code.slice(0, 5).join(", ")}` : "";
  return `nothing to begin with: it needs index.js or index.ts, which exports the room${there}`;
}

/** `main` of a package.json, and its place. `undefined` when there is none. */
function mainOf(folder) {
  const path = join(folder, "package.json");
  if (!isFile(path)) return undefined;
  const text = readText(path), shown = shownPath(path);
  const wrong = notJson(text, shown);
  if (wrong) throw new Mistake(shown, wrong, `${wrong.message}; mend it, or delete it if the guest needs no packages`);
  const found = JSON.parse(text);
  if (found?.main === undefined) return undefined;
  return { value: found.main, shown, place: placeOf(text, Math.max(0, text.indexOf('"main"'))) };
}

/** The mistake in a text that should be JSON, with its place; `undefined` when it is JSON. */
export function notJson(text, shown) {
  try {
    JSON.parse(text);
    return undefined;
  } catch ({ message }) {
    const words = message.replace(/, (\.\.\.)?".*is not valid JSON$/s, "").replace(/ (in JSON )?at position.*$/s, "");
    return new Mistake(shown, placeOf(text, endOfJson(text)), `not JSON: ${words}`);
  }
}

/** The length of the longest prefix with which a JSON text can begin. Node does not always report the place of an error. */
function endOfJson(text) {
  let good = 0, bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (mayGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function mayGoOn(text) {
  try {
    JSON.parse(text);
    return true;
  } catch ({ message }) {
    const at = /position (\d+)/.exec(message)?.[1];
    return /^Unexpected end|^Unterminated/.test(message) || Number(at) === text.length;
  }
}

/** Resolves a path as Node does: the file itself, the file with an extension, or the folder's index. */
function fileOf(path) {
  return [path, ...EXTENSIONS.map((extension) => path + extension), ...INDEX.map((name) => join(path, name))].find(isFile);
}

export function isFile(path) {
  return statOf(path)?.isFile() ?? false;
}

/** `undefined` when the path does not exist or cannot be reached. */
function statOf(path) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Reads an author's file, without the byte order mark that some editors on Windows write. */
export function readText(path) {
  const bytes = readFileSync(path);
  const text = bytes.toString("utf8");
  if (!bytes.equals(Buffer.from(text, "utf8"))) throw notUtf8(path, bytes, text);
  return text.replace(/^\ufeff/, "");
}

function notUtf8(path, bytes, text) {
  let same = 0;
  const again = Buffer.from(text, "utf8");
  while (bytes[same] === again[same]) same += 1;
  const place = placeOf(bytes.subarray(0, same).toString("latin1"), same);
  return new Mistake(shownPath(path), place, "not UTF-8 text from here on; save the file as UTF-8");
}

/** A path for people and editors: relative to the current directory. */
export function shownPath(path) {
  return relative(process.cwd(), path) || path;
}
