// The HTML around a page: its head, the navigation and the page's own contents. There is no script, and nothing from elsewhere.

import { escaped } from "./markdown.mjs";
import { addressOf } from "./pages.mjs";

/**
 * `pages` are those of the site by path, `groups` the navigation. `page` has `target`, `title`, `summary`, `headings` and `html`.
 */
export function documentOf(page, pages, groups) {
  const to = (target) => escaped(addressOf(target, page.target));
  const title = page.target === "index.html" ? page.title : `${page.title} · chorus`;
  const description = page.summary ? `<meta name="description" content="${escaped(page.summary)}">\n` : "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
${description}<link rel="icon" href="data:,">
<link rel="stylesheet" href="${to("style.css")}">
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header><a class="name" href="${to("index.html")}">chorus</a></header>
<div class="frame">
<nav class="wide" aria-label="Pages">${listOf(page, pages, groups, to)}</nav>
<details class="narrow"><summary>Pages</summary><nav aria-label="Pages">${listOf(page, pages, groups, to)}</nav></details>
<main id="content">
${page.html}</main>
</div>
</body>
</html>
`;
}

function listOf(page, pages, groups, to) {
  return groups.map(({ title, pages: paths, folded }) => {
    const items = paths.map((path) => itemOf(pages.get(path), page, to)).join("\n");
    const list = `<ul>${items}</ul>`;
    const isHere = paths.includes(page.path);
    return folded ? `<details${isHere ? " open" : ""}><summary>${escaped(title)}</summary>${list}</details>` : `<h2>${escaped(title)}</h2>${list}`;
  }).join("\n");
}

function itemOf(item, page, to) {
  if (item !== page) return `<li><a href="${to(item.target)}">${escaped(item.title)}</a></li>`;
  const sections = page.headings.filter(({ level }) => level === 2).map(({ id, html }) => `<li><a href="#${escaped(id)}">${html}</a></li>`);
  const list = sections.length > 1 ? `<ul>${sections.join("\n")}</ul>` : "";
  return `<li><a href="${to(item.target)}" aria-current="page">${escaped(item.title)}</a>${list}</li>`;
}
