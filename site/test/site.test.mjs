// The site of this repository is whole, and a page with a mistake is refused.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { buildSite } from "../build.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "chorus-site-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

let names = 0;
const folder = () => join(scratch, `${++names}`);

/** A repository with these files; the README is the page that is tested. */
function repository(files) {
  const root = folder();
  for (const [name, text] of Object.entries({ "docs/other.md": "# Other\n\n## Part\n", ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

function builtOf(files) {
  const out = folder();
  const { problems } = buildSite(repository(files), out);
  return { out, problems, html: existsSync(join(out, "index.html")) ? readFileSync(join(out, "index.html"), "utf8") : undefined };
}

const problemsOf = (markdown) => builtOf({ "README.md": markdown }).problems;

let site, out;
before(() => {
  out = folder();
  site = buildSite(ROOT, out);
});

test("the pages of this repository have no problem", () => {
  assert.deepEqual(site.problems, []);
});

test("every page of docs/ is there, and is listed on every page", () => {
  const pages = readdirSync(join(ROOT, "docs"), { recursive: true }).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`);
  assert.ok(pages.length > 25);
  const entrance = readFileSync(join(out, "index.html"), "utf8"), llms = readFileSync(join(out, "llms.txt"), "utf8");
  for (const page of pages) {
    const target = page.replace(/\.md$/, ".html");
    assert.ok(existsSync(join(out, target)) && existsSync(join(out, page)), page);
    assert.ok(entrance.includes(`href="${target}"`), `${page} is not in the navigation`);
    assert.ok(llms.includes(`](${page})`), `${page} is not in llms.txt`);
  }
});

/** By the written files alone. */
test("each link of the written pages leads to a file and an anchor, and nothing is loaded from elsewhere", () => {
  const texts = new Map(readdirSync(out, { recursive: true }).filter((name) => name.endsWith(".html")).map((name) => [join(out, name), readFileSync(join(out, name), "utf8")]));
  let links = 0;
  for (const [file, html] of texts) {
    assert.doesNotMatch(html, /<script|<iframe|src="(https?:)?\/\//);
    for (const [, href] of html.matchAll(/ href="([^"]+)"/g)) {
      if (/^(https?:|mailto:|data:)/.test(href)) continue;
      const [path, anchor] = href.split("#"), target = path === "" ? file : join(dirname(file), path);
      assert.ok(existsSync(target), `${file}: ${href}`);
      if (anchor) assert.ok(texts.get(target).includes(`id="${anchor}"`), `${file}: ${href}`);
      links += 1;
    }
  }
  assert.ok(links > 1_000, `${links} links`);
  assert.doesNotMatch(readFileSync(join(out, "style.css"), "utf8"), /@import|url\(/);
});

test("a link to another site is kept, and never fetched", async () => {
  let requests = 0;
  const server = createServer((_, response) => response.end(`${++requests}`)).listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const address = `http://127.0.0.1:${server.address().port}/page`;
  const { html, problems } = builtOf({ "README.md": `# A\n\n[there](${address})\n` });
  assert.deepEqual(problems, []);
  assert.ok(html.includes(`href="${address}"`));
  // A connection of the build would have come before this one.
  assert.equal(await (await fetch(address)).text(), "1");
  server.closeAllConnections();
  server.close();
});

test("a link that leads nowhere is refused, and nothing is written", () => {
  const { problems, html } = builtOf({ "README.md": "# A\n\n[x](docs/none.md) [y](docs/other.md#none) [z](#none) [out](../elsewhere.md)\n" });
  assert.deepEqual(problems, [
    "README.md: the link to docs/none.md leads nowhere",
    "README.md: the link to ../elsewhere.md leads nowhere",
    "README.md: the link to docs/other.md#none leads to no heading",
    "README.md: the link to #none leads to no heading",
  ]);
  assert.equal(html, undefined);
});

test("links to pages, headings, sources and folders stay within the site", () => {
  const { out, problems, html } = builtOf({
    "README.md": "# A\n\n## B\n\n## B\n\n[1](docs/other.md#part) [2](#b-1) [3](code/room.js) [4](docs) [5](code/)\n",
    "code/room.js": "const answer = 42 < 43;\n",
  });
  assert.deepEqual(problems, []);
  for (const href of ["docs/other.html#part", "#b-1", "code/room.js.html", "docs/index.html", "code/index.html"]) assert.ok(html.includes(`href="${href}"`), href);
  assert.match(readFileSync(join(out, "code/room.js.html"), "utf8"), /<span class="hljs-keyword">const<\/span> answer = .*42.*&lt;/);
  assert.match(readFileSync(join(out, "code/index.html"), "utf8"), /href="room\.js\.html"/);
});

test("code and text are escaped; comments are left out, and other raw HTML is refused", () => {
  const { html, problems } = builtOf({ "README.md": '# A <b>\n\n<!-- hidden -->\n\n```text\n<script>alert(1)</script>\n```\n\n`<i>` & "q"\n' });
  assert.deepEqual(problems, ["README.md: raw HTML is not rendered: <b>"]);
  assert.equal(html, undefined);
  const { html: fine } = builtOf({ "README.md": '# A\n\n<!-- hidden -->\n\n```text\n<script>alert(1)</script>\n```\n\n`<i>`\n' });
  assert.ok(fine.includes("&lt;script&gt;alert(1)&lt;/script&gt;") && fine.includes("<code>&lt;i&gt;</code>"));
  assert.ok(!fine.includes("hidden"));
});

test("schemes other than those of the web are refused, and so are pictures of other sites", () => {
  assert.deepEqual(problemsOf("# A\n\n[x](javascript:alert(1))\n"), ["README.md: the link to javascript:alert(1) has a scheme that pages do not use"]);
  assert.deepEqual(problemsOf("# A\n\n![x](https://example.org/x.png)\n"), ["README.md: the picture https://example.org/x.png is on another site"]);
});

test("a folder with other files is not replaced; an earlier site is", () => {
  const root = repository({ "README.md": "# A\n" }), out = folder();
  mkdirSync(out);
  writeFileSync(join(out, "thesis.txt"), "");
  assert.throws(() => buildSite(root, out), /has other files than those of a site/);
  assert.ok(existsSync(join(out, "thesis.txt")));
  rmSync(join(out, "thesis.txt"));
  buildSite(root, out);
  writeFileSync(join(out, "stale.html"), "");
  buildSite(root, out);
  assert.ok(!existsSync(join(out, "stale.html")));
});
