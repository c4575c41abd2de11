// The project of docs/tutorial.md, as its reader makes it: by its commands, in the order of the page.

import { execSync } from "node:child_process";

import { pageText } from "./pages.mjs";

const PAGE = "docs/tutorial.md";

/** The template of its first command. */
export function templateOf() {
  const [, template = "empty"] = /^npm create chorus-rooms \S+(?: -- --template (\S+))?$/m.exec(pageText(PAGE));
  return template;
}

/** Runs one of its commands that remove files, or all of them. */
export function removeFiles(folder, at) {
  const commands = [...pageText(PAGE).matchAll(/^rm .*$/gm)].map(([command]) => command);
  for (const command of at === undefined ? commands : [commands[at]]) execSync(command, { cwd: folder, stdio: "pipe" });
}
