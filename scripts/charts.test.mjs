// The charts of docs/pictures/ are those of the tables in docs/performance.md.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { charts, outdated } from "./charts.mjs";

const PAGE = readFileSync(new URL("../docs/performance.md", import.meta.url), "utf8");

test("the charts are those of the tables: `node scripts/charts.mjs` draws them", () => {
  assert.deepEqual(outdated(), []);
});

test("a bar is as long as its value, beside the others of its row", () => {
  const row = /^\| an echo, 100 rooms: server CPU .*$/m;
  const changed = PAGE.replace(row, "| an echo, 100 rooms: server CPU | 1.00 µs (1–2) | 1,000 µs | 500 µs (1–2) | 2 × |  |  |  |");
  const drawn = charts(changed)["beside-colyseus.svg"];
  const [, ...widths] = /an echo, 100 rooms: server CPU<\/text>\n<rect class="chorus"[^>]* width="([\d.]+)".*\n.*\n<rect class="other"[^>]* width="([\d.]+)".*\n.*\n<rect class="floor"[^>]* width="([\d.]+)"/.exec(drawn);
  assert.deepEqual(widths.map(Number), [570, 285, 2]);
  assert.match(drawn, />1,000 µs chorus</);
});

test("a value is shown without its spread and its error", () => {
  const shown = charts(PAGE)["beside-colyseus.svg"].match(/>[^<]* KiB[^<]*</g);
  assert.ok(shown.length >= 2);
  for (const value of shown) assert.match(value, /^>[\d.]+ KiB (chorus|Colyseus)<$/);
});

test("a table that is gone, and a cell that is no value, are errors", () => {
  assert.throws(() => charts("# Performance\n"), /no section/);
  assert.throws(() => charts(PAGE.replaceAll("| unit |", "| units |")), /no table with the column unit/);
  assert.throws(() => charts(PAGE.replace(/^(\| create: rooms \|)[^|]*\|/m, "$1 fast |")), /fast is not a value/);
});
