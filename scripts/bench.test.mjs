import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { comebackTable } from "./bench/comeback.mjs";
import { growthTables, leftBehind, memoryOf, memoryTable, sizeText } from "./bench/growth.mjs";
import { compared, explained, PEER_ROWS, peerReport } from "./bench/peers.mjs";
import { median, proven, ratios, slope, spread } from "./bench/statistics.mjs";
import { short, spreadText, verdict } from "./bench/text.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const near = (value, expected, by = 1e-9) => assert.ok(Math.abs(value - expected) <= by, `${value} is not ${expected}`);

// ---- statistics ----

test("a median is the middle one, and ignores what is not a number", () => {
  assert.equal(median([3, NaN, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 3);
  assert.ok(Number.isNaN(median([])));
  assert.deepEqual(spread([3, 1, NaN, 2]), { median: 2, least: 1, most: 3, count: 3 });
});

test("a ratio is of the two halves of a round", () => {
  assert.deepEqual(ratios([10, 40], [5, 10]), [2, 4]);
});

test("the slope of a line is exact, and has no error", () => {
  const line = slope([[100, 1400], [200, 2400], [300, 3400], [400, 4400]]);
  near(line.each, 10);
  near(line.base, 400);
  near(line.error, 0);
  assert.equal(line.points, 4);
});

test("the slope's error is that of the textbook", () => {
  // y = 2.2 + 0.6 x; the residuals' squares sum up to 2.4; 2.4 / 3 / 10 = 0.08.
  const line = slope([[1, 2], [2, 4], [3, 5], [4, 4], [5, 5]]);
  near(line.each, 0.6);
  near(line.base, 2.2);
  near(line.error, Math.sqrt(0.08));
});

test("two points have no error, and prove nothing", () => {
  const line = slope([[1, 5], [2, 7]]);
  near(line.each, 2);
  assert.ok(Number.isNaN(line.error));
  assert.equal(proven(line).resolved, false);
  assert.equal(sizeText(proven(line)), "–");
});

test("a slope within its error is a bound, and is never below nothing", () => {
  const falling = proven(slope([[0, 1000], [500, 1010], [1000, 900], [1500, 960]]));
  assert.equal(falling.resolved, false);
  assert.ok(falling.value < 0 && falling.bound > 0);
  assert.match(sizeText(falling), /^below 0\.\d+ KiB$/);
  assert.deepEqual(proven({ each: 4, error: 0.5 }), { resolved: true, value: 4, error: 0.5, bound: 5 });
});

// ---- text ----

test("figures have three digits", () => {
  assert.deepEqual([1.234, 12.34, 123.4, 12345, NaN].map(short), ["1.23", "12.3", "123", "12,345", "–"]);
  assert.equal(spreadText({ median: 5, least: 4, most: 6, count: 3 }, "µs"), "5.00 µs (4.00–6.00)");
  assert.equal(spreadText({ median: 5, least: 5, most: 5, count: 1 }), "5.00");
});

test("a verdict names the better of the two targets that is met", () => {
  assert.equal(verdict(1, 2, 1, true), "aim reached");
  assert.equal(verdict(1.5, 2, 1, true), "reached");
  assert.equal(verdict(2.1, 2, 1, true), "**not reached**");
  assert.equal(verdict(0.2, 0.3, 0.5, false), "**not reached**");
  assert.equal(verdict(NaN, 2, 1, true), "not measured");
});

// ---- the comparison ----

const one = (row, round, side, figures) => ({ row, round, side, figures: { "server CPU each": 1, ...figures } });

/** Three rounds of echo: 30, 40 and 20 µs of chorus beside 10 of Colyseus. */
const ECHOES = [30, 40, 20].flatMap((cpu, round) => [
  one("echo-100", round, "floor", { "server CPU each": 3, messages: 250_000 }),
  one("echo-100", round, "chorus", { "server CPU each": cpu, messages: 28_000 }),
  one("echo-100", round, "colyseus", { "server CPU each": 10, messages: 97_000 }),
]);

const DOCUMENT = "## Where the time goes\n\n- **Echo, 100 rooms.** There.\n\n## Else\n\n- **Fan-out.** Not there.\n";
const VERSIONS = { colyseus: "0.18.17", node: "20.0.0" };

test("a row's ratio is the median of its rounds, with their spread", () => {
  const [row] = compared(ECHOES);
  assert.deepEqual(row.ratio, { median: 3, least: 2, most: 4, count: 3 });
  assert.equal(row.chorus.figure.median, 30);
  assert.equal(row.chorus.rate.median, 28_000);
  assert.equal(row.verdict, "**not reached**");
});

test("a round without its other half does not count", () => {
  const rows = compared([...ECHOES, one("echo-100", 3, "chorus", { "server CPU each": 1 }), one("create", 0, "colyseus", { p50: 700 })]);
  assert.deepEqual(rows.map(({ name, rounds }) => [name, rounds]), [["echo-100", 3]]);
});

test("the report has the targets, the CPU time of each unit, and the version", () => {
  const report = peerReport(compared(ECHOES), DOCUMENT, VERSIONS);
  assert.match(report, /\| an echo, 100 rooms: server CPU \| 3\.00 µs .* \| 30\.0 µs \(20\.0–40\.0\) \| 10\.0 µs .* \| 3\.00 \(2\.00–4\.00\) × \| 2\.5 × \| 1\.8 × \| \*\*not reached\*\* \|/);
  assert.match(report, /Colyseus 0\.18\.17/);
  assert.match(report, /\| echo-100: messages \| 250,000 \/s \| 3\.00 µs .* \| 28,000 \/s \| 30\.0 µs .* \| 97,000 \/s \| 10\.0 µs .* \| 3\.00 × \|/);
});

test("a missed target is named, with the place that explains it, or that there is none", () => {
  const fanOut = [0, 1, 2].flatMap((round) => [one("fan-out", round, "chorus", { "server CPU each": 3.6 }), one("fan-out", round, "colyseus", { "server CPU each": 4 })]);
  const report = peerReport(compared([...ECHOES, ...fanOut]), DOCUMENT, VERSIONS);
  assert.match(report, /Missed target of \*an echo, 100 rooms: server CPU\*: 3\.00 × instead of 2\.5 ×; its paragraph \*Echo, 100 rooms\*/);
  assert.match(report, /Missed aim of \*a delivery in a fan-out to 100: server CPU\*: 0\.90 × instead of 0\.75 ×; \*\*no paragraph \*Fan-out\*/);
});

test("memory is compared by the size of one more room, and has targets of its own", () => {
  const rooms = (each) => ({ "active room": [1, 2, 3, 4].map((step) => ({ number: 250 * step, pss: 9000 + 250 * step * each, "page tables": 0 })) });
  const [row] = compared([
    { row: "memory", round: 0, side: "chorus", figures: {}, series: rooms(110) },
    { row: "memory", round: 0, side: "colyseus", figures: {}, series: rooms(34) },
  ]);
  near(row.chorus.figure.median, 110);
  near(row.colyseus.figure.median, 34);
  assert.equal(row.verdict, "reached");
  assert.match(peerReport([row], "", VERSIONS), /Missed aim of \*memory of an active room .*: 110 KiB instead of 90 KiB; \*\*no paragraph/);
});

test("every row has a paragraph that explains where its time goes, in the document", () => {
  const document = readFileSync(join(ROOT, "docs/performance.md"), "utf8");
  for (const { place } of PEER_ROWS.filter(({ reach }) => reach)) assert.ok(explained(place, document), place);
});

// ---- memory, and cost against number ----

const POINTS = [0, 1000, 2000, 3000, 4000].map((number, at) => ({ number, pss: 50_000 + 4 * number + [0, 300, -200, 100, -150][at], "page tables": number / 10, "busy at rest": 0.5 }));

test("the memory of one is a slope with its error", () => {
  const { pss, tables } = memoryOf(POINTS);
  near(pss.value, 3.95, 0.01);
  near(tables.value, 0.1);
  assert.ok(pss.error > 0 && pss.error < 0.1 && pss.resolved);
  assert.match(sizeText(pss), /^3\.95 ± 0\.0\d KiB$/);
});

test("a memory's first points may be left out", () => {
  const table = memoryTable({ "hibernated room": [{ ...POINTS[0], pss: 500_000 }, ...POINTS.slice(1)] });
  assert.match(table, /\| hibernated room of two \| 3\.90 ± 0\.10 KiB \| 0\.10 ± 0\.00 KiB \| 4, to 4,000 \| 2 KiB \| 1 KiB \| \*\*not reached\*\* \|/);
});

test("a memory that is not resolved meets a target only by its bound", () => {
  const noise = [0, 0, 100, 200, 300].map((number, at) => ({ number, pss: [0, 0, 900, -800, 700][at], "page tables": 0 }));
  assert.match(memoryTable({ "member of the lobby": noise }), /\| below [\d.]+ KiB \|.*\| (reached|\*\*not reached\*\*) \|/);
});

test("too few points are no row", () => {
  assert.equal(memoryTable({ "active room": POINTS.slice(0, 2), "rooms that have ended": [] }), "");
  assert.equal(leftBehind({ "rooms that have ended": POINTS.slice(0, 2), "active rooms": POINTS.slice(0, 2) }), "");
});

test("what 500 ended rooms leave behind is a part of what they took", () => {
  const during = POINTS.map((point) => ({ ...point, pss: 100 * point.number }));
  const text = leftBehind({ "active rooms": during, "rooms that have ended": POINTS });
  assert.match(text, /After 500 active rooms have ended, 1\.93 ± 0\.0\d MiB of their 48\.8 ± 0\.00 MiB stay/);
});

test("cost against number has a line for each number", () => {
  const [table] = growthTables({ "hibernated room": [{ ...POINTS[1], "p50 of waking": 740 }], log: [] });
  assert.deepEqual(table.split("\n"), [
    "| hibernated rooms of two, connected | first message to one, p50 | server busy at rest | memory |",
    "| --- | --- | --- | --- |",
    "| 1,000 | 740 µs | 0.50 % | 53.0 MiB |",
  ]);
});

// ---- coming back ----

test("the parts of coming back add up, and a part that is not known leaves a gap", () => {
  const figures = { "rooms that answered": 9, "rooms that were lost": 0, "rooms that were silent": 1 };
  for (const [which, ms] of [["p50", 4000], ["p99", 5000], ["max", 6000]]) figures[`${which} of first answer`] = ms;
  const row = (reading) => comebackTable([{ what: "it", figures, detection: 1000, reading }]).split("\n").at(-1);
  assert.equal(row([900, 100, 500]), "| it | – | 4.00, 5.00, 6.00 | 1.00 | 0.50, 0.90, 0.90 | 2.50, 3.10, 4.10 | –, –, – | 9 of 10 |");
  assert.equal(row([]), "| it | – | 4.00, 5.00, 6.00 | 1.00 | –, –, – | –, –, – | –, –, – | 9 of 10 |");
});

// ---- what is compared with ----

test("Colyseus is pinned by a lock file that names no registry", () => {
  const folder = join(ROOT, "testing/peers/colyseus");
  const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  for (const [name, version] of Object.entries(dependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.equal(packages[`node_modules/${name}`].version, version);
  }
  assert.ok(Object.values(packages).every(({ resolved }) => resolved === undefined));
  assert.ok(existsSync(join(folder, "server.mjs")));
});
