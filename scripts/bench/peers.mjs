// The table that compares chorus with Colyseus, from measured rounds. Pure: `scripts/bench.mjs` measures.

import { median, proven, ratios, slope, spread } from "./statistics.mjs";
import { markdown, short, spreadText, verdict } from "./text.mjs";

const CPU = "server CPU each";

/**
 * The rows, with the load's arguments. `figure` is what is compared, `rate` the number of units in a second; `reach` and `aim`
 * are targets for chorus' part of Colyseus's figure, or of the figure itself where `absolute`. `peer` are arguments of Colyseus's server, `ours` those of the load on chorus. `place` is the paragraph of
 * docs/performance.md that explains where the time goes when the target is missed.
 */
export const PEER_ROWS = [
  { name: "tic-tac-toe", what: "a tic-tac-toe move, 1,000 rooms: server CPU", args: ["tic-tac-toe"], figure: CPU, rate: "moves", unit: "µs", reach: 2, aim: 1.3, place: "Tic-tac-toe" },
  { name: "patch-each-move", what: "the same, where Colyseus sends its patch after each move", args: ["tic-tac-toe"], peer: ["--patch-each-move"], figure: CPU, rate: "moves", unit: "µs" },
  { name: "cell", what: "the same, 32 rooms in an instance of chorus: server CPU", args: ["tic-tac-toe"], ours: ["--cells"], figure: CPU, rate: "moves", unit: "µs", reach: 2, aim: 1, place: "Tic-tac-toe, in cells" },
  { name: "echo-100", what: "an echo, 100 rooms: server CPU", args: ["echo", "--rooms", "100"], floor: "/echo", figure: CPU, rate: "messages", unit: "µs", reach: 2.5, aim: 1.8, place: "Echo, 100 rooms" },
  { name: "fan-out", what: "a delivery in a fan-out to 100: server CPU", args: ["fan-out"], floor: "/all", figure: CPU, rate: "deliveries", unit: "µs", reach: 1, aim: 0.75, place: "Fan-out" },
  { name: "echo-1", what: "echo p50, one client", args: ["echo", "--rooms", "1"], floor: "/echo", figure: "p50", rate: "messages", unit: "µs", reach: 1.3, aim: 1.15, place: "Echo, one client" },
  { name: "create", what: "room created and answering, p50", args: ["create"], floor: "/echo", figure: "p50", rate: "rooms", unit: "µs", reach: 1.1, aim: 0.8, place: "A room created and answering" },
  { name: "memory", what: "memory of an active room of two, played long, its connections included", series: "active room", unit: "KiB", absolute: true, reach: 130, aim: 90, place: "Memory of an active room" },
  { name: "memory-cell", what: "the same, 32 rooms in an instance of chorus", series: "active room", ours: ["--cells"], unit: "KiB", absolute: true, reach: 130, aim: 50, place: "Memory of an active room, in cells" },
];

export const SIDES = ["floor", "chorus", "colyseus"];

/**
 * The rows of a comparison from `results`: what was measured, as `{ row, round, side, figures, series }`. A round counts in
 * which both sides were measured.
 */
export function compared(results) {
  return PEER_ROWS.map((row) => {
    const of = (side) => new Map(results.filter((one) => one.row === row.name && one.side === side).map((one) => [one.round, one]));
    const [floor, chorus, colyseus] = SIDES.map(of);
    const rounds = [...chorus.keys()].filter((round) => colyseus.has(round));
    const each = (side, figure) => rounds.map((round) => value(row, side.get(round), figure));
    const ratio = spread(ratios(each(chorus), each(colyseus)));
    const target = row.absolute ? spread(each(chorus)).median : ratio.median;
    const column = (side) => ({ figure: spread(each(side)), rate: spread(each(side, row.rate)), cpu: spread(each(side, CPU)) });
    return {
      ...row, rounds: rounds.length, ratio, verdict: row.reach ? verdict(target, row.reach, row.aim, true) : "",
      floor: column(floor), chorus: column(chorus), colyseus: column(colyseus), errors: errors(row, rounds.map((round) => chorus.get(round))),
    };
  }).filter(({ rounds }) => rounds > 0);
}

/** One figure of one measurement; of a series, the size of one more. */
function value(row, measured, figure = row.figure) {
  if (!measured) return NaN;
  return row.series ? line(row, measured).each : measured.figures[figure] ?? NaN;
}

function line({ series }, measured) {
  return slope(measured.series[series].map((point) => [point.number, point.pss]));
}

/** The standard errors of a series' slopes. */
function errors(row, measured) {
  return row.series ? median(measured.map((one) => proven(line(row, one)).error)) : NaN;
}

/** The table of the targets, what it costs beside it, and the targets that were missed. */
export function peerReport(rows, document, versions) {
  const missed = rows.filter((row) => row.verdict.includes("not reached") || row.verdict === "reached");
  const misses = missed.map((row) => miss(row, document)).join("\n");
  return [targets(rows, versions), costs(rows, versions), misses].filter(Boolean).join("\n\n");
}

function targets(rows, { colyseus }) {
  const times = (value, { absolute, unit }) => (absolute ? `${value} ${unit}` : `${value} ×`);
  return markdown(
    ["measure", "floor", "chorus", `Colyseus ${colyseus}`, "chorus ÷ Colyseus", "to reach", "to aim at", ""],
    rows.map((row) => [
      row.what, row.floor.figure.count ? spreadText(row.floor.figure, row.unit) : "", figureText(row), spreadText(row.colyseus.figure, row.unit),
      `${spreadText(row.ratio)} ×`, ...(row.reach ? [times(row.reach, row), times(row.aim, row)] : ["", ""]), row.verdict,
    ]),
  );
}

function figureText({ chorus, unit, errors: error }) {
  const text = spreadText(chorus.figure, unit);
  return Number.isFinite(error) ? `${text}, standard error ${short(error)}` : text;
}

/** How many of each unit there are in a second, and the server's CPU time for each, since a p50 shows neither. */
function costs(rows, { colyseus }) {
  const counted = rows.filter(({ rate }) => rate);
  if (counted.length === 0) return "";
  const cells = ({ rate, cpu }) => (rate.count ? [`${short(rate.median)} /s`, `${spreadText(cpu, "µs")}`] : ["", ""]);
  return markdown(
    ["unit", "floor", "CPU each", "chorus", "CPU each", `Colyseus ${colyseus}`, "CPU each", "ratio of CPU"],
    counted.map((row) => [
      `${row.name}: ${row.rate}`, ...cells(row.floor), ...cells(row.chorus), ...cells(row.colyseus),
      `${short(row.chorus.cpu.median / row.colyseus.cpu.median)} ×`,
    ]),
  );
}

/** Names a missed target, and the paragraph that says where its time goes. */
function miss(row, document) {
  const missed = row.verdict === "reached" ? ["aim", row.aim] : ["target", row.reach];
  const value = row.absolute ? `${short(row.chorus.figure.median)} ${row.unit}` : `${short(row.ratio.median)} ×`;
  const wanted = row.absolute ? `${missed[1]} ${row.unit}` : `${missed[1]} ×`;
  const where = explained(row.place, document)
    ? `its paragraph *${row.place}* under [Where the time goes](#where-the-time-goes) explains it`
    : `**no paragraph *${row.place}* under “Where the time goes” explains it yet**`;
  return `- Missed ${missed[0]} of *${row.what}*: ${value} instead of ${wanted}; ${where}.`;
}

/** Whether the document has that paragraph, which begins with its name. */
export function explained(place, document) {
  const [, section = ""] = document.split(/^## Where the time goes$/m);
  return section.split(/^## /m)[0].includes(`- **${place}.**`);
}
