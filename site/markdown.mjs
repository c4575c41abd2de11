// A page's Markdown as HTML, with its title, its headings and its links. Raw HTML is refused, except comments, which are left out.

import { Marked } from "marked";

import { anchorOf } from "../scripts/headings.mjs";
import { highlighted } from "./code.mjs";

const EXTERNAL = /^[a-z][a-z+.-]*:/i;

/**
 * `resolve(href)` is the address of a relative link. The result: `{ html, title, summary, headings, external, problems }`; `headings` are
 * `{ level, id, html }`, `external` the links to other sites, which nothing checks.
 */
export function rendered(text, resolve) {
  const page = { html: "", title: undefined, summary: undefined, headings: [], external: [], problems: [] };
  const ids = new Map();
  const marked = new Marked({ gfm: true });

  /** As GitHub does: a repeated heading has a number. */
  const idFor = (heading) => {
    const id = anchorOf(heading), earlier = ids.get(id) ?? 0;
    ids.set(id, earlier + 1);
    return earlier === 0 ? id : `${id}-${earlier}`;
  };

  const renderer = {
    heading({ tokens, depth, text: raw }) {
      const html = this.parser.parseInline(tokens), id = idFor(raw);
      page.headings.push({ level: depth, id, html: html.replace(/<\/?a\b[^>]*>/g, "") });
      if (depth === 1) page.title ??= plain(html);
      return `<h${depth} id="${escaped(id)}">${html}<a class="anchor" href="#${escaped(id)}" aria-label="Link to this section">#</a></h${depth}>\n`;
    },
    paragraph({ tokens }) {
      const html = this.parser.parseInline(tokens);
      page.summary ??= plain(html).split(/(?<=\.)\s/)[0];
      return `<p>${html}</p>\n`;
    },
    link({ href, title, tokens }) {
      const html = this.parser.parseInline(tokens), tip = title ? ` title="${escaped(title)}"` : "";
      if (EXTERNAL.test(href)) {
        if (!/^(https?|mailto):/i.test(href)) page.problems.push(`the link to ${href} has a scheme that pages do not use`);
        page.external.push(href);
        return `<a href="${escaped(href)}" rel="noopener"${tip}>${html}</a>`;
      }
      return `<a href="${escaped(resolve(href))}"${tip}>${html}</a>`;
    },
    image({ href, text: alt }) {
      const isElsewhere = EXTERNAL.test(href);
      if (isElsewhere) page.problems.push(`the picture ${href} is on another site`);
      return `<img src="${escaped(isElsewhere ? href : resolve(href, true))}" alt="${escaped(alt)}" loading="lazy">`;
    },
    code({ text: code, lang }) {
      return `<pre tabindex="0"><code>${highlighted(code, lang?.split(/\s/)[0])}</code></pre>\n`;
    },
    table(token) {
      const row = (cells, name) => `<tr>${cells.map((cell) => `<${name}>${this.parser.parseInline(cell.tokens)}</${name}>`).join("")}</tr>`;
      const body = token.rows.map((cells) => row(cells, "td")).join("\n");
      return `<div class="table" tabindex="0"><table><thead>${row(token.header, "th")}</thead>\n<tbody>${body}</tbody></table></div>\n`;
    },
    html({ text: raw }) {
      if (raw.replace(/<!--[\s\S]*?-->/g, "").trim() !== "") page.problems.push(`raw HTML is not rendered: ${raw.trim().slice(0, 60)}`);
      return "";
    },
  };
  marked.use({ renderer });
  page.html = marked.parse(withoutFrontMatter(text));
  if (page.title === undefined) page.problems.push("a page begins with a heading");
  page.title ??= "";
  return page;
}

/** The name and the description of a skill, which are not a part of the page. */
export function withoutFrontMatter(text) {
  return text.replace(/^---\n[\s\S]*?\n---\n/, "");
}

export function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The text of HTML that this module has made. */
export function plain(html) {
  const text = html.replace(/<[^>]*>/g, "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#39;", "'");
  return text.replaceAll("&amp;", "&").replace(/\s+/g, " ").trim();
}
