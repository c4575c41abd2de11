// The table of games in play whose server was killed. Pure: `measure-comeback.mjs` measures.

import { markdown } from "./text.mjs";

const seconds = (ms) => (Number.isFinite(ms) ? (ms / 1000).toFixed(2) : "–");

const QUANTILES = { p50: 0.5, p99: 0.99, max: 1 };

/** Of a figure of `chorus load comeback`. */
const quantilesOf = (figures, name) => Object.keys(QUANTILES).map((which) => figures[`${which} of ${name}`]);

function quantiles(times) {
  const sorted = times.toSorted((a, b) => a - b);
  return Object.values(QUANTILES).map((quantile) => sorted[Math.round((sorted.length - 1) * quantile)]);
}

const all = (times) => times.map(seconds).join(", ");

/**
 * `measured`: what the scenarios of `measure-comeback.mjs` have resolved with, in milliseconds; `reading` of each partition. A
 * quantile of rebuilding is what that of the parts before leaves of the whole: rooms are spread evenly over the partitions.
 */
export function comebackTable(measured) {
  const head = ["seconds after the kill of", "serving again", "first answer of a room: p50, p99, max", "detection", "reading: p50, p99, max", "rebuilding: p50, p99, max", "answer after a resume: p50, p99, max", "rooms that answered"];
  const rows = measured.map(({ what, detection, reading, figures }) => {
    const { serving, "rooms that answered": answered, "rooms that were lost": lost, "rooms that were silent": silent } = figures;
    const [whole, read] = [quantilesOf(figures, "first answer"), quantiles(reading)];
    const rebuilding = whole.map((time, which) => time - detection - read[which]);
    return [
      what, seconds(serving), all(whole), seconds(detection), all(read), all(rebuilding),
      all(quantilesOf(figures, "answer after resume")), `${answered} of ${answered + lost + silent}`,
    ];
  });
  return markdown(head, rows);
}
