// Keeps docs/ consistent with the code: generates the tables that are made from it, and finds broken links.
//
// A table stands between `<!-- table: NAME -->`, or `<!-- table: NAME ARGUMENT -->`, and `<!-- end -->`.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { ABSENT } from "../guests/sdk/absent.js";
import { argumentsOf } from "./arguments.mjs";
import { anchorsIn } from "./headings.mjs";

const HELP = `Usage: node scripts/docs.mjs [--check]

Writes the tables in docs/ that are made from the code, and checks the links of all pages and the numbers in docs/adr. The
tables of flags come from \`chorus reference\`, for which the binary is built if it is not up to date.

  --check    writes nothing; exit code 1 when a table is old, a link is broken or a number of docs/adr is wrong
`;

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const source = (path) => readFileSync(join(ROOT, path), "utf8");

const TABLES = { absent, bounds, budgets, imports, errors, options, routes };

/** The names that a room does not have, by their replacement. */
function absent() {
  const names = new Map();
  for (const [name, advice] of Object.entries(ABSENT)) names.set(advice, [...(names.get(advice) ?? []), `\`${name}\``]);
  return table(["not there", "use instead"], [...names].map(([advice, all]) => [all.join(", "), advice]));
}

/** `config.budget`, from the constants and their comments. */
function budgets() {
  const bound = /((?:\/\/\/ .*\n)+)pub const \w+: Bound = bound\("(\w+)", ([\d_* ]+), ([\d_* ]+), .*\);/g;
  const rows = [...source("host/src/guest/budget.rs").matchAll(bound)].map(([, comment, key, normal, cap]) => {
    return [`\`${key}\``, number(normal), number(cap), textOf(comment)];
  });
  return table(["key", "default", "cap", "why"], rows);
}

/** The bounds on the JSON of a client's frame, from the constants and their comments. */
function bounds() {
  const bound = /((?:\/\/\/ .*\n)+)pub const \w+: usize = ([\d_]+);/g;
  const rows = [...source("core/src/frame/bounds.rs").matchAll(bound)].map(([, comment, limit]) => {
    const [what] = textOf(comment).split(/(?<=[.:]) /);
    return [what.replace(/[.:]$/, ""), number(limit)];
  });
  return table(["what", "at most"], rows);
}

/** The closed list of WASI. */
function imports() {
  const line = /^ {4}"(wasi:[\w/-]+)",\s+"([^"]+)",/gm;
  const rows = [...source("host/src/guest/wasi.rs").matchAll(line)].map(([, name, why]) => [`\`${name}\``, why]);
  return table(["interface", "what a guest gets"], rows);
}

/** The codes of `error` frames. */
function errors() {
  const frame = source("core/src/frame/codes.rs");
  const meanings = /((?: {4}\/\/\/ .*\n)+) {4}(\w+),$/gm;
  const texts = new Map([...frame.matchAll(/ErrorCode::(\w+) => "(\w+)"/g)].map(([, name, text]) => [name, text]));
  const enumeration = frame.slice(frame.indexOf("pub enum ErrorCode"), frame.indexOf("impl ErrorCode"));
  const rows = [...enumeration.matchAll(meanings)].map(([, comment, name]) => [`\`${texts.get(name)}\``, textOf(comment)]);
  return table(["code", "means"], rows);
}

/**
 * The flags of a command, as the binary parses them: `dev`, or `edge Cluster,Machine` for those under these headings of
 * its help. `chorus` stands for the flags of all commands.
 */
function options(command, headings = "") {
  const { flags } = reference().find(({ name }) => name === command) ?? {};
  if (!flags) throw new Error(`there is no command ${command}`);
  const wanted = headings === "" ? [null] : headings.split(",");
  const code = (text) => (text === null || text === "" ? "" : `\`${text}\``);
  const rows = flags.filter(({ heading }) => wanted.includes(heading)).map(({ name, environment, default: value, what }) => {
    // Some defaults are computed later, and are written in the help text.
    const [, text, worked] = what.match(/^([^]*?)(?: \[default: (.*)\])?$/);
    return [code(`--${name}`), code(environment), value === null ? (worked ?? "") : code(value), text];
  });
  return table(["flag", "environment", "default", "what"], rows);
}

/** The operators' HTTP API, from the table at the top of its module. */
function routes() {
  const line = /^\/\/! \| (`(?:GET|POST) [^|]*`) \| (.*) \|$/gm;
  return table(["route", "what"], [...source("monitor/src/admin/mod.rs").matchAll(line)].map(([, route, what]) => [route, what]));
}

let referred;

function reference() {
  const run = ["run", "--release", "--locked", "--quiet", "--package", "chorus", "--", "reference"];
  referred ??= JSON.parse(execFileSync("cargo", run, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
  return referred;
}

function table(head, rows) {
  if (rows.length === 0) throw new Error(`no rows for a table of ${head.join(", ")}: has the code moved?`);
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Formats `8 * 1024` or `300_000_000` for people. */
function number(expression) {
  const value = expression.replaceAll("_", "").split("*").reduce((product, factor) => product * Number(factor), 1);
  return value.toLocaleString("en");
}

function textOf(comment) {
  return comment.split("\n").map((line) => line.trim().replace(/^\/\/\/ ?/, "")).join(" ").trim();
}

// ---- the files ----

function pages() {
  const below = (folder) => readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".md")).map((name) => join(folder, name));
  return [...below("."), ...below("docs"), ...below("docs/adr"), ...below("docs/skill"), "clients/js/README.md"];
}

function withTables(text, page) {
  return text.replace(/(<!-- table: (\w+)((?: \S+)*) -->\n)[\s\S]*?(<!-- end -->)/g, (_, begin, name, words, end) => {
    if (!TABLES[name]) throw new Error(`${page}: there is no table ${name}; there are: ${Object.keys(TABLES).join(", ")}`);
    return `${begin}\n${TABLES[name](...words.split(" ").filter(Boolean))}\n\n${end}`;
  });
}

/** Links to missing files of this repository, and to missing headings of a page. */
function brokenLinks(text, page) {
  const prose = text.replace(/```[\s\S]*?```/g, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target)).filter((target) => {
    const [path, heading] = target.split("#");
    const file = path === "" ? join(ROOT, page) : join(ROOT, dirname(page), path);
    if (!existsSync(file)) return true;
    return heading !== undefined && !anchorsIn(readFileSync(file, "utf8")).includes(heading);
  });
}

/** Decisions with the number of another one, or with a number in the title that differs from the file's. */
function misnumbered() {
  const names = readdirSync(join(ROOT, "docs/adr")).sort();
  return names.flatMap((name, at) => {
    const number = name.slice(0, 4);
    const wrong = [];
    if (names[at - 1]?.startsWith(number)) wrong.push(`docs/adr/${name}: ${names[at - 1]} has the same number`);
    if (!source(`docs/adr/${name}`).startsWith(`# ${Number(number)}. `)) wrong.push(`docs/adr/${name}: the title's number is not ${Number(number)}`);
    return wrong;
  });
}

function main(check) {
  const wrong = misnumbered();
  for (const page of pages()) {
    const text = source(page);
    const fresh = withTables(text, page);
    if (fresh !== text && check) wrong.push(`${page}: a table is older than the code: run \`just docs\``);
    if (fresh !== text && !check) {
      writeFileSync(join(ROOT, page), fresh);
      console.log(`wrote ${relative(".", join(ROOT, page))}`);
    }
    wrong.push(...brokenLinks(fresh, page).map((target) => `${page}: the link to ${target} leads nowhere`));
  }
  wrong.forEach((text) => console.error(text));
  process.exitCode = wrong.length > 0 ? 1 : 0;
}

const { values } = argumentsOf(HELP, { options: { check: { type: "boolean", default: false } } });
main(values.check);
