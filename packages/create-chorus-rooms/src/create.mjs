// A new project from a template: the files of `templates/common`, and over them those of the template's own folder.
//
// npm leaves a `.gitignore` out of packages and reads a `package.json`, so these have a `_` before their names here. Texts have `{{placeholders}}`: `name`,
// `title`, `lead`, `kind`, `version`, and `game`, the part of the page that is the template's own.

import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const FOLDER = join(HERE, "../templates");
const SKILL = join(HERE, "../../../docs/skill/SKILL.md");
const COMMON = "common";
/** Files of a template that are not files of the project. */
const PARTS = ["template.json", "game.html"];
/** In the order of the help. */
const NAMES = ["empty", "tic-tac-toe", "chat", "quiz", "cards"];
/** npm's limit is 214; a folder's name on most systems ends at 255. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;

/** By name: `{ what, kind, title, lead }`. */
export const TEMPLATES = Object.fromEntries(NAMES.map((name) => [name, JSON.parse(readFileSync(join(FOLDER, name, "template.json"), "utf8"))]));

/** Creates the project, and returns the paths of its files. Throws if the folder, its name or the template is refused: nothing is written then. */
export function createProject(folder, template) {
  const root = resolve(folder), name = basename(root);
  if (!Object.hasOwn(TEMPLATES, template)) throw new Error(`there is no template ${JSON.stringify(template)}. Name one of these: ${NAMES.join(", ")}`);
  if (!NAME.test(name) || name === "node_modules") throw new Error(`${JSON.stringify(name)} cannot be a project's name, since it is that of an npm package, too: use a-z, 0-9 and -, as in ${suggested(name)}`);
  refuseUsed(root, folder);
  const files = filesOf(name, template);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { flag: "wx" });
  }
  return Object.keys(files);
}

/** The project's files: text by path. */
export function filesOf(name, template) {
  const { what: _, ...about } = TEMPLATES[template];
  const { version } = JSON.parse(readFileSync(join(HERE, "../package.json"), "utf8"));
  const values = { ...about, name, version, game: read(template, "game.html").trimEnd() };
  const own = [COMMON, template].flatMap((folder) => pathsIn(join(FOLDER, folder)).map((path) => [path, read(folder, path)]));
  const files = own.filter(([path]) => !PARTS.includes(path)).map(([path, text]) => [path.replace(/(^|\/)_/, "$1"), filled(text, values)]);
  // The body of the skill: coding agents of all makes read this file.
  return { ...Object.fromEntries(files), "AGENTS.md": readFileSync(SKILL, "utf8").replace(/^---\n[\s\S]*?\n---\n\n/, "") };
}

function filled(text, values) {
  return text.replace(/\{\{(\w+)\}\}/g, (all, key) => values[key] ?? all);
}

function refuseUsed(root, folder) {
  const found = statSync(root, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) throw new Error(`${folder} is a file: name another folder`);
  const inside = readdirSync(root).filter((entry) => entry !== ".git");
  if (inside.length > 0) throw new Error(`the folder ${folder} is not empty (it has ${inside.slice(0, 3).join(", ")}${inside.length > 3 ? ", …" : ""}): name another one, or empty it`);
}

function suggested(name) {
  const words = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  return NAME.test(words) && words !== "node" && name !== "node_modules" ? words : "my-game";
}

/** The files below a folder, by paths with `/`. */
function pathsIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/")).sort();
}

function read(...path) { return readFileSync(join(FOLDER, ...path), "utf8"); }
