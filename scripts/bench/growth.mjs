// Memory, and cost against number, from series of points. Pure: `scripts/bench.mjs` measures.

import { proven, slope } from "./statistics.mjs";
import { markdown, short, verdict } from "./text.mjs";

/**
 * What one of each takes in memory. `from` is the number of points at the beginning that do not count: until then, waves of
 * active rooms still find new memory. Targets are in KiB.
 */
export const MEMORY = [
  { series: "active room", what: "active room of two, played long, its connections included", reach: 130, aim: 90 },
  { series: "hibernated room", what: "hibernated room of two", from: 1, reach: 2, aim: 1 },
  { series: "rooms that have ended", what: "room that has ended, of those that were active at once" },
  { series: "member of the lobby", what: "idle connection, a member of the lobby", from: 1, reach: 16, aim: 8 },
  { series: "member of the lobby, by TLS", what: "idle connection by TLS, a member of the lobby", from: 1 },
];

/** Rooms after whose end the memory that stays is reported. */
const GONE = 500;

/** The columns of cost against number, by series: a point's figure, its heading and its unit. */
const GROWTH = [
  { series: "member of the lobby", what: "members of the lobby", columns: [["p50 of joining", "joining, p50", "µs"], ["CPU of joining", "joining, server CPU", "µs"], ["p50 of an echo", "an echo beside them, p50", "µs"], ["busy at rest", "server busy at rest", "%"], ["pss", "memory", "MiB"]] },
  { series: "active room", what: "live rooms of two, connected", columns: [["busy at rest", "server busy at rest", "%"], ["pss", "memory", "MiB"]] },
  { series: "playing room", what: "rooms that play at once", columns: [["server CPU each", "a move, server CPU", "µs"], ["p50", "a move, p50", "µs"], ["moves", "moves", "/s"]] },
  { series: "hibernated room", what: "hibernated rooms of two, connected", columns: [["p50 of waking", "first message to one, p50", "µs"], ["busy at rest", "server busy at rest", "%"], ["pss", "memory", "MiB"]] },
  { series: "log", what: "records in the log, none truncated", columns: [["MiB", "log and store", "MiB"], ["start", "start until it serves", "ms"], ["p50 of an echo", "an echo after that, p50", "µs"]] },
  { series: "partition", what: "partitions of a cluster", columns: [["start", "start until all are hosted", "ms"], ["p50 of an echo", "an echo, p50", "µs"], ["busy at rest", "host busy at rest", "%"]] },
];

/** The slope of a series' memory in KiB, and of its page tables. */
export function memoryOf(points, from = 0) {
  const line = (name) => slope(points.slice(from).map((point) => [point.number, point[name]]));
  return { pss: proven(line("pss")), tables: proven(line("page tables")), points: points.length - from, most: points.at(-1).number };
}

/** `4.10 ± 0.20 KiB`, or `below 0.60 KiB` where the error is too large for a value. */
export function sizeText({ resolved, value, error, bound }, factor = 1, unit = "KiB") {
  const of = (size) => short(size * factor);
  if (!Number.isFinite(error)) return "–";
  return resolved ? `${of(value)} ± ${of(error)} ${unit}` : `below ${of(bound)} ${unit}`;
}

/** `series`: points by the name of their series. */
export function memoryTable(series) {
  const rows = MEMORY.filter((row) => series[row.series]?.length - (row.from ?? 0) > 2).map((row) => {
    const { pss, tables, points, most } = memoryOf(series[row.series], row.from);
    // A target is met if that is beyond the error.
    const met = row.reach ? verdict(pss.bound, row.reach, row.aim, true) : "";
    const targets = row.reach ? [`${row.reach} KiB`, `${row.aim} KiB`] : ["", ""];
    return [row.what, sizeText(pss), sizeText(tables), `${points}, to ${short(most)}`, ...targets, met];
  });
  return rows.length > 0 ? markdown(["memory of one", "each ± standard error", "page tables", "points", "to reach", "to aim at", ""], rows) : "";
}

/** What stays of rooms that were active at once and have ended. */
export function leftBehind(series) {
  const [gone, active] = [series["rooms that have ended"], series["active rooms"]];
  if (!gone || gone.length < 3) return "";
  const during = memoryOf(active).pss;
  const after = memoryOf(gone).pss;
  return `After ${GONE} active rooms have ended, ${sizeText(after, GONE / 1024, "MiB")} of their ${sizeText(during, GONE / 1024, "MiB")} stay with the process, for the next rooms (connections not included).`;
}

export function growthTables(series) {
  return GROWTH.filter(({ series: name }) => series[name]?.length > 0).map(({ series: name, what, columns }) => {
    const cell = (point, [figure, , unit]) => `${short(figure === "pss" ? point.pss / 1024 : point[figure])} ${unit}`;
    const rows = series[name].map((point) => [short(point.number), ...columns.map((column) => cell(point, column))]);
    return markdown([what, ...columns.map(([, heading]) => heading)], rows);
  });
}
