// The pages of docs/ as a site of plain files: no script, no search, no server, and no request to another site.
//
// A file that a page links to is a page too: Markdown as it reads, source as highlighted code, a folder as a list. So every relative
// link of the pages stays within the site. All of them and their anchors are checked; one that leads nowhere fails the build.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

import { highlighted } from "./code.mjs";
import { documentOf } from "./layout.mjs";
import { llmsText } from "./llms.mjs";
import { escaped, rendered } from "./markdown.mjs";
import { addressOf, navigation, targetOf } from "./pages.mjs";

const STYLE = fileURLToPath(new URL("style.css", import.meta.url));
/** Says that a folder is one of this tool, which may replace it. */
const MARK = ".chorus-site";

/** Builds the site of the repository at `root` into the folder `out`: `{ pages, problems }`. With a problem, nothing is written. */
export function buildSite(root, out) {
  const groups = navigation(root);
  const site = new Site(root);
  for (const path of groups.flatMap(({ pages }) => pages)) site.page(path);
  site.follow();
  const problems = site.problems();
  if (problems.length === 0) write(site, groups, root, out);
  return { pages: [...site.pages.values()], problems };
}

class Site {
  /** By path: `{ path, target, title, summary, headings, html, links, external, problems }`, in the order in which they were found. */
  pages = new Map();
  /** Paths of pictures. */
  pictures = new Set();
  #found = [];

  constructor(root) {
    this.root = root;
  }

  page(path) {
    if (this.pages.has(path)) return;
    const isFolder = statSync(join(this.root, path)).isDirectory();
    const page = { path, target: targetOf(path, isFolder), links: [], headings: [], external: [], problems: [] };
    this.pages.set(path, page);
    if (isFolder) return void this.#found.push(page);
    const text = readFileSync(join(this.root, path), "utf8");
    if (!path.endsWith(".md")) return void Object.assign(page, { title: path, html: sourceOf(path, text) });
    const { problems, ...contents } = rendered(text, (href, isPicture) => this.#resolve(page, href, isPicture));
    Object.assign(page, contents);
    page.problems.push(...problems);
  }

  /** The pages that others link to, until there are no more. */
  follow() {
    for (;;) {
      const page = this.#found.pop();
      if (!page) return;
      Object.assign(page, { title: page.path, html: this.#listOf(page) });
    }
  }

  problems() {
    const targets = new Map([...this.pages.values()].map((page) => [page.target, page]));
    return [...this.pages.values()].flatMap((page) => {
      const dead = page.links.filter(({ target, anchor }) => anchor && !targets.get(target)?.headings.some(({ id }) => id === anchor));
      return [...page.problems, ...dead.map(({ href }) => `the link to ${href} leads to no heading`)].map((text) => `${page.path}: ${text}`);
    });
  }

  /** The address of a relative link, and the page behind it. */
  #resolve(page, href, isPicture = false) {
    const [written, anchor] = href.split("#");
    const path = written === "" ? page.path : posix.normalize(posix.join(posix.dirname(page.path), decodeURI(written))).replace(/\/$/, "");
    const file = join(this.root, path);
    if (path.startsWith("..") || posix.isAbsolute(written) || !existsSync(file)) {
      page.problems.push(`the link to ${href} leads nowhere`);
      return href;
    }
    if (isPicture) {
      this.pictures.add(path);
      return addressOf(path, page.target);
    }
    // A folder with a README is that page.
    const readme = posix.join(path, "README.md");
    const found = statSync(file).isDirectory() && existsSync(join(this.root, readme)) ? readme : path;
    this.page(found);
    const { target } = this.pages.get(found);
    page.links.push({ href, target, anchor });
    if (written === "") return `#${anchor}`;
    return addressOf(target, page.target) + (anchor === undefined ? "" : `#${anchor}`);
  }

  /** The files of a folder, without those of folders in it. */
  #listOf(page) {
    const names = readdirSync(join(this.root, page.path), { withFileTypes: true }).filter((entry) => entry.isFile() && !entry.name.startsWith("."));
    const items = names.map(({ name }) => name).sort().map((name) => {
      const address = this.#resolve(page, posix.join(posix.basename(page.path), name));
      const { title } = this.pages.get(posix.join(page.path, name));
      return `<li><a href="${escaped(address)}">${escaped(posix.basename(title))}</a></li>`;
    });
    return `<h1>${escaped(page.path)}</h1>\n<ul>${items.join("\n")}</ul>\n`;
  }
}

function sourceOf(path, text) {
  return `<h1>${escaped(path)}</h1>\n<pre tabindex="0"><code>${highlighted(text, posix.extname(path).slice(1))}</code></pre>\n`;
}

function write(site, groups, root, out) {
  const mark = join(out, MARK);
  if (existsSync(out) && readdirSync(out).length > 0 && !existsSync(mark)) throw new Error(`${out} has other files than those of a site: name an empty folder`);
  rmSync(out, { recursive: true, force: true });
  const file = (path) => {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    return join(out, path);
  };
  writeFileSync(file(MARK), "");
  copyFileSync(STYLE, file("style.css"));
  for (const page of site.pages.values()) {
    writeFileSync(file(page.target), documentOf(page, site.pages, groups));
    if (page.path.endsWith(".md")) copyFileSync(join(root, page.path), file(page.path));
  }
  for (const path of site.pictures) copyFileSync(join(root, path), file(path));
  writeFileSync(file("llms.txt"), llmsText(site.pages, groups));
}
