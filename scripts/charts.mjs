// The charts in docs/pictures/, drawn from the tables of docs/performance.md: see --help.
//
// Each row has its own scale, from nothing to its largest value, because the units differ. A chart has its own background, in light and in
// dark, so it can be read on any page.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const DOCUMENT = "docs/performance.md", PICTURES = "docs/pictures";

const HELP = `Usage: node scripts/charts.mjs [--check]

Draws the charts in ${PICTURES}/ from the tables of ${DOCUMENT}.

  --check   fails when a chart is not that of its table; nothing is written
`;

/** `column`: the first cell of the head of the table; `less`: whether less is better. */
const CHARTS = {
  "beside-colyseus.svg": { column: "measure", title: "What it costs", less: true },
  "throughput.svg": { column: "unit", title: "How much one core does", less: false },
};
const SECTION = /<!-- begin: just bench --peers --write -->(.*?)<!-- end: just bench --peers --write -->/s;

const WIDTH = 760, MARGIN = 20, BAR = 14, GAP = 4, NAME = 17, BETWEEN = 20, HEAD = 74, FOOT = 30;
/** Beside the longest bar there is room for its value. */
const LONGEST = WIDTH - 2 * MARGIN - 150;
/** Texts have a contrast of at least 4.5 with their background. */
const STYLE = `
    .paper { fill: #ffffff; stroke: #d0d7de; } text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-size: 17px; font-weight: 600; } .soft { fill: #59636e; } .chorus { fill: #4f5bd5; } .other { fill: #8b949e; } .floor { fill: #d0d7de; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #14161b; stroke: #30363d; } text { fill: #e6edf3; } .soft { fill: #9198a1; } .chorus { fill: #8b95ff; } .other { fill: #6e7681; } .floor { fill: #30363d; }
    }
  `;

/** The charts of a page: by name, the text of an SVG. */
export function charts(page) {
  const section = SECTION.exec(page);
  if (!section) throw new Error(`${DOCUMENT} has no section of \`just bench --peers --write\``);
  const when = /^- When: (.*)\.$/m.exec(section[1])[1];
  return Object.fromEntries(Object.entries(CHARTS).map(([name, chart]) => [name, drawn(chart, tableOf(section[1], chart.column), when)]));
}

/** The table whose head begins with this cell: an array of rows, each by the names of its columns. The first of equal names counts. */
function tableOf(text, column) {
  const lines = text.split("\n"), at = lines.findIndex((line) => line.startsWith(`| ${column} |`));
  if (at === -1) throw new Error(`${DOCUMENT}: there is no table with the column ${column}`);
  const cells = (line) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  const head = cells(lines[at]), end = lines.findIndex((line, index) => index > at && !line.startsWith("|"));
  return lines.slice(at + 2, end).map((line) => Object.fromEntries(cells(line).map((cell, index) => [head[index], cell]).reverse()));
}

function drawn({ column, title, less }, table, when) {
  const peer = Object.keys(table[0]).find((name) => /^Colyseus \d/.test(name));
  const rows = table.map((row) => {
    const bars = [["chorus", "chorus", row.chorus], ["other", "Colyseus", row[peer]], ["floor", "floor", row.floor]].filter(([, , cell]) => cell);
    return { name: row[column], bars: bars.map(([kind, label, cell]) => ({ kind, label, shown: shownOf(cell), value: valueOf(cell) })) };
  });
  let end = HEAD;
  const parts = rows.flatMap(({ name, bars }) => {
    const top = end, most = Math.max(...bars.map(({ value }) => value));
    end += NAME + bars.length * (BAR + GAP) + BETWEEN;
    return [
      text(MARGIN, top + 10, name),
      ...bars.flatMap(({ kind, label, shown, value }, at) => {
        const width = Math.max(2, (value / most) * LONGEST), y = top + NAME + at * (BAR + GAP);
        return [`<rect class="${kind}" x="${MARGIN}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`, text(MARGIN + width + 8, y + 11.5, `${shown} ${label}`, "soft")];
      }),
    ];
  });
  const height = end + FOOT;
  const how = `${less ? "Less is better" : "More is better"}. Each row has its own scale. ${peer}; the floor is a bare WebSocket server.`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(label(title, rows))}">`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(MARGIN, 32, title, "title"), text(MARGIN, 53, how, "soft"), ...parts,
    text(MARGIN, height - 16, `${DOCUMENT}, ${when}`, "soft"), "</svg>", "",
  ].join("\n");
}

/** The chart in words. */
function label(title, rows) {
  return `${title}. ${rows.map(({ name, bars }) => `${name}: ${bars.map(({ shown, label }) => `${label} ${shown}`).join(", ")}`).join(". ")}`;
}

/** Without the lowest and the highest, or an error. */
function shownOf(cell) { return cell.replace(/( \(.*\))?(, standard error.*)?$/, ""); }

function valueOf(cell) {
  const [, number] = /^([\d,]+(?:\.\d+)?) /.exec(cell) ?? [];
  if (number === undefined) throw new Error(`${DOCUMENT}: ${cell} is not a value with a unit`);
  return Number(number.replaceAll(",", ""));
}

function text(x, y, value, kind) { return `<text${kind ? ` class="${kind}"` : ""} x="${Number(x.toFixed(1))}" y="${y}">${escaped(value)}</text>`; }
function escaped(value) { return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;"); }

/** Draws all of them, from the page as it is. */
export function draw() {
  mkdirSync(join(ROOT, PICTURES), { recursive: true });
  for (const [name, svg] of Object.entries(charts(readFileSync(join(ROOT, DOCUMENT), "utf8")))) writeFileSync(join(ROOT, PICTURES, name), svg);
}

/** The names of charts that are not those of the page. */
export function outdated() {
  const committed = (name) => {
    try { return readFileSync(join(ROOT, PICTURES, name), "utf8"); } catch { return undefined; }
  };
  return Object.entries(charts(readFileSync(join(ROOT, DOCUMENT), "utf8"))).filter(([name, svg]) => committed(name) !== svg).map(([name]) => name);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = argumentsOf(HELP, { options: { check: { type: "boolean" } } });
  const old = values.check ? outdated() : draw() ?? [];
  if (old.length > 0) {
    console.error(`not the charts of the tables: ${old.join(", ")}. \`node scripts/charts.mjs\` draws them.`);
    process.exitCode = 1;
  }
}
