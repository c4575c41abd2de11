// The code of the pages in docs/, for tests that run it.

import { readFileSync } from "node:fs";

export function pageText(path) {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
}

const FILE = String.raw`(?:\/\/|#|<!--) (\S+[./]\S+)(?: -->)?\n`;
const PROGRAM = "(?:[cm]?js|jsx|[cm]?ts|tsx|javascript|typescript)";

/** The files in a page, `{ path, code }` in order: blocks whose first line is a comment with a path. */
export function blocksIn(page) {
  const blocks = pageText(page).matchAll(new RegExp(`^\`\`\`\\w*\\n${FILE}([\\s\\S]*?)^\`\`\`$`, "gm"));
  return [...blocks].map(([, path, code]) => ({ path, code }));
}

/** The same as text by path; of a file that is shown twice, the last. */
export function filesIn(page) {
  return Object.fromEntries(blocksIn(page).map(({ path, code }) => [path, code]));
}

/** The blocks of JavaScript and TypeScript in a page that are no files: `{ language, code }` in order. */
export function fragmentsIn(page) {
  const blocks = pageText(page).matchAll(new RegExp(`^ *\`\`\`(${PROGRAM})\\b.*\\n(?!${FILE})([\\s\\S]*?)^ *\`\`\`$`, "gm"));
  return [...blocks].map(([, language, , code]) => ({ language, code }));
}
