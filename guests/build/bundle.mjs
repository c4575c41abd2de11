// Bundles a guest's files, the packages that they import, the SDK and the entry into one module.

import { existsSync, readdirSync } from "node:fs";
import { builtinModules } from "node:module";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

import { Mistake, Mistakes, NOWHERE, unreadable } from "./error.mjs";
import { isFile, notJson, readText, shownPath } from "./sources.mjs";
import { exportsOf, mistakesIn, placeOfImport } from "./syntax.mjs";

const SDK = fileURLToPath(new URL("../sdk/", import.meta.url));
/** Modules that take the place of those of the SDK that have the same name: they are the engine's. */
const ENGINE_SDK = fileURLToPath(new URL("../../engine/sdk/", import.meta.url));
const SCRIPT = "chorus:script";
/** The module that the build writes for a lobby: what one may play here (`kinds.mjs`). */
const KINDS = "chorus/kinds", KINDS_PATH = `${SDK}kinds.js`;
const CONTRACT = ["describe", "call"];
const BUILTIN = new Set(builtinModules);
/** The limit of a bundle's size. A larger one starts slowly, and most likely contains data that belongs in the client. */
const MAX_BYTES = 8 << 20;

/**
 * `script` and `scriptMap`: a plain script with the SDK's own modules, which Node can run. What becomes the component, with
 * `map`: `guest`, a script for the engine; of a `bare` guest, which is without the SDK, `module`, an ES module. The paths in
 * `map` begin with the name of the guest's `folder`, and contain no path of the building machine.
 *
 * `kinds` is what a lobby imports as "chorus/kinds"; `isLobby` is whether the guest does.
 */
export async function bundle(entry, folder = dirname(entry), kinds = {}) {
  const bare = isBare(entry);
  const author = new Author(entry, folder, kinds);
  const builds = [];
  const start = async (engine) => {
    builds.push(await rolldown(options(bare ? entry : `${engine ? ENGINE_SDK : SDK}entry.js`, author.plugin(engine))));
    return builds.at(-1);
  };
  try {
    const reference = await start(false);
    const ours = bare
      ? await reference.generate({ format: "es", sourcemap: "hidden", sourcemapPathTransform: author.known })
      : await (await start(true)).generate({ format: "iife", sourcemap: "hidden", sourcemapPathTransform: author.known });
    const script = await reference.generate({ format: "iife", name: "guest", sourcemap: true, sourcemapPathTransform: absolute, exports: "named" });
    if (author.mistakes.length > 0) throw new Mistakes(author.mistakes);
    const [{ code, map }] = ours.output;
    if (code.length > MAX_BYTES) throw new Mistake(shownPath(entry), NOWHERE, tooLarge(code));
    const { version, sources, names, mappings } = map;
    const [{ code: plain, map: plainMap }] = script.output;
    const made = bare ? { module: code } : { guest: code };
    return { bare, ...made, map: JSON.stringify({ version, sources, names, mappings }), script: plain, scriptMap: plainMap, suspects: author.suspects, isLobby: author.isLobby };
  } catch (error) {
    if (error instanceof Mistake || error instanceof Mistakes) throw error;
    throw author.mistakes.length > 0 ? new Mistakes(author.mistakes) : bundlerMistakes(error, entry);
  } finally {
    for (const build of builds) await build.close();
  }
}

function options(input, plugin) {
  return {
    input,
    platform: "neutral",
    // Paths in the bundle are relative to `cwd`: they must not depend on the directory that the build is run from.
    cwd: SDK,
    resolve: {
      // A package's browser build is the one that does not need Node.
      conditionNames: ["import", "module", "browser", "production", "default"],
      mainFields: ["browser", "module", "main"],
      aliasFields: [["browser"]],
      extensions: [".js", ".ts", ".mjs", ".mts", ".json"],
    },
    // Else comments name each file by its path from `cwd`, which is another one on another machine.
    experimental: { attachDebugInfo: "none" },
    transform: { define: { "process.env.NODE_ENV": '"production"' } },
    plugins: [plugin],
    onLog: () => {},
  };
}

/** A module of the SDK, as the engine has it or as it is, by its name. */
function engineModule(name) {
  const own = join(ENGINE_SDK, name);
  return isFile(own) ? own : join(SDK, name);
}

function isOfSdk(path) { return path.startsWith(SDK) || path.startsWith(ENGINE_SDK); }

function tooLarge(code) {
  const mb = (code.length / (1 << 20)).toFixed(1);
  return `with all that it imports it has ${mb} MiB, and at most ${MAX_BYTES >> 20} are built; keep data that the room does not need in the client`;
}

/** Loads the author's files, and collects the mistakes in them. */
class Author {
  #entry;
  /** The guest's folder, and the folder of all guests, which an author's paths are relative to. */
  #folder;
  #root;
  /** Mistakes by file, since each file is loaded once for each output. */
  #found = new Map();
  /** Mistakes by place, since each import is resolved once for each output. */
  #refused = new Map();
  /** The first importer of each file: the error for a package names the import that brought it in. */
  #importers = new Map();
  /** Missing modules that packages `require`, which may be optional. */
  suspects = [];
  #kinds;
  isLobby = false;

  constructor(entry, folder, kinds) {
    this.#kinds = kinds;
    this.#entry = entry;
    this.#folder = folder;
    this.#root = dirname(folder);
  }

  get mistakes() { return [...[...this.#found.values()].flat(), ...this.#refused.values()]; }

  /** A path for a component's source map, as the author sees it. */
  known = (source, map) => {
    const path = absolute(source, map);
    if (isOfSdk(path)) return `sdk/${basename(path)}`;
    const packaged = path.lastIndexOf("/node_modules/");
    return packaged < 0 ? relative(this.#root, path).replace(/^(\.\.\/)+/, "") : path.slice(packaged + 1);
  };

  /** `engine`: the SDK's modules are the engine's where it has its own. */
  plugin(engine) {
    const author = this;
    return {
      name: "chorus",
      async resolveId(id, importer, options) {
        if (id === "chorus") return `${SDK}chorus.js`;
        if (id === KINDS) return KINDS_PATH;
        if (id === SCRIPT) return author.#entry;
        if (importer === undefined || id.startsWith("\0")) return undefined;
        if (engine && isOfSdk(importer) && id.startsWith("./")) return engineModule(id);
        const found = isBuiltin(id) ? null : await this.resolve(id, importer, { ...options, skipSelf: true });
        if (found === null) {
          author.#refuse(id, importer, options.kind);
          return { id, external: true };
        }
        if (author.#isOwn(found.id) && !(extname(found.id) in TYPES)) author.#refuse(id, importer, options.kind);
        if (!author.#importers.has(found.id)) author.#importers.set(found.id, { importer, id });
        return found;
      },
      load: (id) => (id === KINDS_PATH ? author.#kindsModule() : author.#loaded(id)),
    };
  }

  #kindsModule() {
    this.isLobby = true;
    return { code: `export const kinds = ${JSON.stringify(this.#kinds)};`, moduleType: "js" };
  }

  #isOwn(path) { return !path.startsWith("\0") && !isOfSdk(path) && !path.includes("/node_modules/"); }

  /** Loads an author's file, and checks it for mistakes. */
  #loaded(path) {
    const type = TYPES[extname(path)];
    if (!this.#isOwn(path)) return undefined;
    if (type === undefined) return { code: "export {};", moduleType: "js" };
    let code = "", wrong = [];
    try {
      code = readText(path);
      wrong = type === "json" ? [notJson(code, shownPath(path))].filter(Boolean) : mistakesIn(code, path, shownPath(path));
    } catch (error) {
      const words = unreadable(error);
      if (words === undefined && !(error instanceof Mistake)) throw error;
      wrong = [words === undefined ? error : new Mistake(shownPath(path), NOWHERE, words)];
    }
    this.#found.set(path, wrong);
    return wrong.length > 0 ? { code: "export {};", moduleType: "js" } : { code, moduleType: type };
  }

  /** Refuses an import that cannot be resolved. */
  #refuse(id, importer, kind) {
    const { place, shown, through } = this.#cause(id, importer);
    const mistake = new Mistake(shown, place, through + (isBuiltin(id) ? noBuiltin(id) : this.#notFound(id, importer)));
    // The author's own imports of Node's modules are found by `mistakesIn`.
    if (isBuiltin(id) && this.#isOwn(importer)) return;
    if (kind === "import-statement") this.#refused.set(`${mistake}`, mistake);
    else this.suspects.push(mistake);
  }

  /** The author's own import that brought this one in. */
  #cause(id, importer) {
    let own = { importer, id };
    while (!this.#isOwn(own.importer) && this.#importers.has(own.importer)) own = this.#importers.get(own.importer);
    const through = own.importer === importer ? "" : `the package "${packageOf(own.id)}" does not work in a room: `;
    if (!this.#isOwn(own.importer)) return { shown: shownPath(this.#entry), place: NOWHERE, through };
    return { shown: shownPath(own.importer), place: placeOfImport(readText(own.importer), own.importer, own.id) ?? NOWHERE, through };
  }

  #notFound(id, importer) {
    if (/^[./]/.test(id)) return isFile(resolve(dirname(importer), id)) ? `${id} is nothing that a room can read: it imports JavaScript, TypeScript and JSON` : noFile(id, importer);
    const name = packageOf(id);
    const installed = foldersAbove(importer).find((folder) => existsSync(join(folder, "node_modules", name)));
    if (installed) return `the package "${name}" is installed, and has no "${id.slice(name.length + 1) || "."}" to import; look at \`exports\` in its package.json`;
    const where = existsSync(join(this.#folder, "package.json")) ? this.#folder : this.#root;
    return `the package "${name}" is not installed; run \`npm install ${name}\` in ${relative(dirname(this.#root), where)}/`;
  }
}

/** The types of an author's files that a guest may import. */
const TYPES = { ".js": "js", ".mjs": "js", ".cjs": "js", ".ts": "ts", ".mts": "ts", ".cts": "ts", ".json": "json" };

function isBuiltin(id) { return id.startsWith("node:") || (BUILTIN.has(id) && !id.endsWith("/")); }

function noBuiltin(id) {
  const instead = /^(node:)?(web)?crypto$/.test(id) ? "; use instead: crypto.getRandomValues and crypto.randomUUID, which a room has" : "; use instead: a package of plain JavaScript";
  return `it imports Node's \`${id}\`, which a room does not have${instead}`;
}

function noFile(id, importer) {
  const folder = dirname(resolve(dirname(importer), id));
  const stem = (name) => basename(name, extname(name)).toLowerCase();
  const near = existsSync(folder) ? readdirSync(folder).filter((name) => stem(name) === stem(id)) : [];
  return `there is no file ${id}${near.length > 0 ? `; there is ${near.join(", ")}` : ""}`;
}

/** The package's name in `@scope/name/file` or `name/file`. */
function packageOf(id) { return id.split("/", id.startsWith("@") ? 2 : 1).join("/"); }

function foldersAbove(path) {
  const folders = [];
  for (let folder = dirname(path); folders.at(-1) !== folder; folder = dirname(folder)) folders.push(folder);
  return folders;
}

/** Whether a guest implements the contract itself, without the SDK. */
function isBare(entry) {
  const code = readText(entry);
  const shown = shownPath(entry);
  const mistakes = mistakesIn(code, entry, shown);
  if (mistakes.length > 0) throw new Mistakes(mistakes);
  const { names } = exportsOf(code, entry);
  const missing = CONTRACT.filter((name) => !names.has(name));
  if (names.has("default") || names.has("*")) return false;
  if (missing.length === 0) return true;
  const start = { line: 1, column: 1 };
  if (missing.length < CONTRACT.length) {
    const names = missing.map((name) => `\`${name}\``).join(", ");
    const instead = "use instead: `export default class extends Room`, and let the SDK make them";
    throw new Mistake(shown, start, `it does not match wit/room.wit: no export ${names}; ${instead}`);
  }
  const needs = "it needs `import { Room } from \"chorus\"` and `export default class … extends Room { … }`";
  throw new Mistake(shown, start, `no room: ${needs}`);
}

function absolute(source, map) {
  return resolve(dirname(map), source);
}

function bundlerMistakes(error, entry) {
  const causes = error.errors ?? [error];
  return new Mistakes(causes.map((cause) => {
    const file = cause.loc?.file ?? cause.id ?? entry;
    const place = cause.loc ? { line: cause.loc.line, column: cause.loc.column + 1 } : NOWHERE;
    // The bundler's further lines show the code at that place.
    const text = String(cause.message).replace(/\u001b\[[0-9;]*m/g, "").split("\n")[0].replace(/^\[\w+\] /, "");
    return new Mistake(shownPath(file), place, notExported(text));
  }));
}

/** The bundler reports paths relative to its `cwd`. */
function notExported(text) {
  const [, name, path] = /^"(.+)" is not exported by "(.+)"/.exec(text) ?? [];
  if (name === undefined) return text;
  const file = resolve(SDK, path);
  if (file === `${SDK}chorus.js`) return `"chorus" has no ${name === "default" ? "default export" : `\`${name}\``}; it has \`Room\` and \`LOBBY\`: import { Room } from "chorus"`;
  return `${shownPath(file)} has no ${name === "default" ? "default export" : `export \`${name}\``}`;
}
