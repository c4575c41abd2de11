// The code of the pages in docs/, for tests that run it.

import { readFileSync } from "node:fs";

export function pageText(path) {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
}

/** The files in a page, `{ path, code }` in order: blocks whose first line is a comment with a path. */
export function blocksIn(page) {
  const blocks = pageText(page).matchAll(/^```\w*\n(?:\/\/|#|<!--) (\S+[./]\S+)(?: -->)?\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, path, code]) => ({ path, code }));
}

/** The same as text by path; of a file that is shown twice, the last. */
export function filesIn(page) {
  return Object.fromEntries(blocksIn(page).map(({ path, code }) => [path, code]));
}
