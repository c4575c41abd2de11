// Builds the pages of docs/ as a site: see --help.

import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

const HELP = `Usage: node scripts/site.mjs [--out DIR]

Renders docs/ with the README as the entrance, as files for any web server, and llms.txt. The exit code is 1 if a link between the pages
leads nowhere; links to other sites are not followed. Its packages are installed by \`node scripts/setup.mjs site\`.

  --out DIR   where it goes (default: target/site); an empty folder, or an earlier site, which is replaced
`;

const { values } = argumentsOf(HELP, { options: { out: { type: "string" } } });
const out = resolve(values.out ?? join(ROOT, "target/site"));
const { buildSite } = await import("../site/build.mjs");
try {
  const { pages, problems } = buildSite(ROOT, out);
  problems.forEach((problem) => console.error(problem));
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`${pages.length} pages: ${relative(".", join(out, "index.html"))}`);
} catch (error) {
  console.error(`site: ${error.message}`);
  process.exitCode = 1;
}
