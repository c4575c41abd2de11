// Which files of this repository are pages, and in which order they are listed. A page of docs/ that is not named here is listed last.

import { existsSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";

const NAMED = [
  ["Begin", ["README.md", "docs/tutorial.md", "docs/project.md", "docs/react.md", "docs/cookbook.md", "docs/author.md", "docs/coming-from.md"]],
  ["Reference", ["docs/scripting.md", "docs/testing.md", "clients/js/README.md", "docs/identity.md", "docs/protocol.md", "docs/configuration.md"]],
  ["Operate", ["docs/deployment.md", "docs/operating.md", "docs/reliability.md", "docs/performance.md"]],
  ["Inside", ["ARCHITECTURE.md", "docs/glossary.md", "docs/simulation.md", "CONTRIBUTING.md", "CHANGELOG.md"]],
];
/** Groups that are closed unless one reads a page of them. */
const FOLDERS = [["Decisions", "docs/adr"]];

/** The navigation: `[{ title, pages, folded }]`, paths of Markdown files. */
export function navigation(root) {
  const groups = NAMED.map(([title, pages]) => ({ title, pages: pages.filter((page) => existsSync(join(root, page))), folded: false }));
  for (const [title, folder] of FOLDERS) groups.push({ title, pages: below(root, folder), folded: true });
  const listed = new Set(groups.flatMap(({ pages }) => pages));
  const others = below(root, "docs").filter((page) => !listed.has(page));
  if (others.length > 0) groups.push({ title: "Further pages", pages: others, folded: false });
  return groups.filter(({ pages }) => pages.length > 0);
}

/** The Markdown files of a folder and of the folders in it. */
function below(root, folder) {
  const entries = existsSync(join(root, folder)) ? readdirSync(join(root, folder), { withFileTypes: true }) : [];
  const sorted = entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return below(root, path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** The file of the site for a path of the repository: a page, a source file or a folder. */
export function targetOf(path, isFolder = false) {
  if (isFolder) return posix.join(path, "index.html");
  if (posix.basename(path) === "README.md") return posix.join(posix.dirname(path), "index.html");
  return path.endsWith(".md") ? path.replace(/\.md$/, ".html") : `${path}.html`;
}

/** The relative address of one file of the site, on another one. */
export function addressOf(target, from) {
  return posix.relative(posix.dirname(from), target) || posix.basename(target);
}
