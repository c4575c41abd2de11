// The command: `npm create chorus-rooms`, and `chorus new`. Asks for what is missing if a person is at the terminal.

import { relative, resolve } from "node:path";
import { createInterface } from "node:readline/promises";

import { argumentsOf, command, WrongArguments } from "../../chorus-rooms/src/arguments.mjs";
import { createProject, TEMPLATES } from "./create.mjs";

const DEFAULT = "empty";

const help = (program, separator) => `Usage: ${program} FOLDER ${separator}[--template NAME] [--json]

Creates a project in a new folder: rooms, a page, tests. FOLDER is also the project's name: a-z, 0-9 and -. A dot is the current folder.

${templateList()}

  -t, --template NAME   what the project begins with; without it, a terminal asks, and otherwise it is ${DEFAULT}
  --json                print { ok, folder, template, files } as a line of JSON, or { ok: false, error }; nothing is asked for
`;

/** `program`: how the command is called, for its help. `separator`: what npm needs before a flag. Resolves with the exit code. */
export function main(args, { program, separator = "" }) {
  return command(args, async () => {
    const given = argumentsOf(withValue(args), help(program, separator), { options: { template: { type: "string", short: "t" }, json: { type: "boolean" } } });
    if (given === undefined) return 0;
    const { values, positionals } = given, mayAsk = !values.json && process.stdin.isTTY && process.stdout.isTTY;
    if (positionals.length > 1) throw new WrongArguments(`one folder is created, and there are ${positionals.length}: ${positionals.join(", ")}`);
    const folder = positionals[0] ?? (mayAsk ? await ask("The project's folder", "my-game") : undefined) ?? missingFolder(program);
    const template = values.template || ((mayAsk ? await askTemplate() : undefined) ?? (values.template === undefined ? DEFAULT : missingTemplate()));
    const files = createProject(folder, template);
    console.log(values.json ? JSON.stringify({ ok: true, folder: resolve(folder), template, files }) : done(resolve(folder), template, files));
  });
}

/** `--template` at the end without its value has an empty one: that is asked for. */
function withValue(args) {
  return args.map((arg, at) => (["--template", "-t"].includes(arg) && (at === args.length - 1 || args[at + 1].startsWith("-")) ? "--template=" : arg));
}

function missingFolder(program) { throw new WrongArguments(`the folder is missing: ${program} my-game`); }

function missingTemplate() { throw new WrongArguments(`--template needs a name.\n${templateList()}`); }

function templateList() {
  return `Templates:\n${Object.entries(TEMPLATES).map(([name, { what }]) => `  ${name.padEnd(12)} ${what}`).join("\n")}`;
}

async function ask(question, preset) {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await lines.question(`${question} (${preset}): `)).trim() || preset;
  } catch (error) {
    // Ctrl-C and Ctrl-D.
    if (error.name === "AbortError") throw new Error("nothing was created");
    throw error;
  } finally {
    lines.close();
  }
}

async function askTemplate() {
  const names = Object.keys(TEMPLATES);
  console.log(templateList());
  const answer = await ask("The template, by its name or number", DEFAULT);
  return names[Number(answer) - 1] ?? answer;
}

function done(folder, template, files) {
  const path = relative(process.cwd(), folder);
  const steps = [...(path === "" ? [] : [`cd ${/\s/.test(path) ? JSON.stringify(path) : path}`]), "npm install", "npm run dev"];
  return `${files.length} files of the template ${template} are in ${path || "this folder"}. Next:\n\n${steps.map((step) => `  ${step}\n`).join("")}\nThen open http://127.0.0.1:4000/ in two browsers. README.md has the rest.`;
}
