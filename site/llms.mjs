// llms.txt, for language models: what there is to read, with an address and a sentence for each page. The pages are there as Markdown too.

/** As https://llmstxt.org describes it. The one page with everything that an author needs comes first. */
export function llmsText(pages, groups) {
  const entrance = pages.get("README.md");
  const line = (path) => {
    const { title, summary } = pages.get(path);
    return `- [${title}](${path})${summary ? `: ${summary}` : ""}`;
  };
  const first = pages.has("docs/author.md") ? ["", "To write rooms and clients, one page is enough:", "", line("docs/author.md")] : [];
  const sections = groups.map(({ title, pages: paths }) => ["", `## ${title}`, "", ...paths.map(line)].join("\n"));
  return [`# ${entrance.title}`, "", `> ${entrance.summary}`, ...first, ...sections, ""].join("\n");
}
