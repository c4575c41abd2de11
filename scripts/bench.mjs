// The tables of docs/performance.md: `just bench [options]`, or `node scripts/bench.mjs --help`.
//
// The server is pinned to one core and the players to another, if there are two and `taskset`. Every scenario runs in pairs, at
// the floor and then at chorus, and the share of the floor is the median of the pairs: a disturbance of the machine mostly
// affects both halves of a pair.

import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { cpus, homedir, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { argumentsOf, wrongArguments } from "./arguments.mjs";
import { comebackTable } from "./bench/comeback.mjs";
import { growthTables, leftBehind, memoryTable } from "./bench/growth.mjs";
import { COMING_BACK } from "./bench/measure-comeback.mjs";
import { GROWING } from "./bench/measure-growth.mjs";
import { measurePeers } from "./bench/measure-peers.mjs";
import { compared, PEER_ROWS, peerReport } from "./bench/peers.mjs";
import { hasTaskset, installColyseus, pinned, ROOMY, scratch, Servers, stop } from "./bench/servers.mjs";
import { median } from "./bench/statistics.mjs";
import { markdown, short, verdict } from "./bench/text.mjs";
import { draw } from "./charts.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const GUESTS = join(ROOT, "guests");
const DOCUMENT = join(ROOT, "docs", "performance.md");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "chorus", "target");
/** Tells the rounds of one run from those of another in the same file. */
const START = new Date().toISOString();

/** Scenarios of hostile clients: `--only hostile` selects all of them. They have a table of their own. */
const HOSTILE = ["dear-messages", "host-calls", "newcomer", "siege"];
/** Memory, and cost against number: `--only growth` selects all of them. They have a table of their own. */
const GROWTH = Object.keys(GROWING);
/** Games in play whose server is killed: `--only comeback` selects all of them. They have a table of their own. */
const COMEBACK = Object.keys(COMING_BACK);
const MAIN = ["echo-1", "echo-100", "fan-out", "tic-tac-toe", "create", "swap", "neighbour", "always", "cluster", "in-process"];
const SCENARIOS = [...MAIN, ...GROWTH, ...HOSTILE, ...COMEBACK];
const GROUPS = { growth: GROWTH, hostile: HOSTILE, comeback: COMEBACK };

const HELP = `Usage: node scripts/bench.mjs [options]

Measures chorus and the floor, and prints tables. Needs the binary (just build-dist) and the guests
(node guests/build.mjs). Takes about three quarters of an hour.

  --seconds N       how long each scenario is measured, each time (default: 3)
  --rounds N        how often each pair of floor and chorus runs (default: 3)
  --only a,b        some scenarios: ${MAIN.join(", ")};
                    growth, which is: ${GROWTH.join(", ")};
                    hostile, which is: ${HOSTILE.join(", ")};
                    comeback, which is: ${COMEBACK.join(", ")}
  --peers           compares chorus with Colyseus, and measures nothing else: with --only, some of
                    ${PEER_ROWS.map(({ name }) => name).join(", ")}
  --results FILE    appends what --peers or --only growth measures to this file, and reports all that is in it, so that a
                    long benchmark can be run in pieces; with --rounds 0 it only reports
  --bin FILE        the chorus binary
  --write           puts the tables into docs/performance.md, each group's into its own place
`;

/** The scenarios of floor and chorus: the load's arguments, the compared figure, and the issue's two targets for its share. */
const PAIRS = [
  { name: "echo-1", what: "echo p50, one client", args: ["echo", "--rooms", "1"], figure: "p50", unit: "µs", reach: 6, aim: 3, less: true },
  { name: "echo-100", what: "echo, 100 rooms", args: ["echo", "--rooms", "100"], figure: "messages", unit: "/s", reach: 0.3, aim: 0.5 },
  { name: "fan-out", what: "fan-out to 100, deliveries", args: ["fan-out"], path: "/all", figure: "deliveries", unit: "/s", reach: 0.3, aim: 0.5 },
  { name: "tic-tac-toe", what: "tic-tac-toe, 1,000 rooms, moves, of the floor's echoes", args: ["tic-tac-toe"], floor: ["echo", "--rooms", "100"], floorFigure: "messages", figure: "moves", unit: "/s", reach: 0.12, aim: 0.2 },
  { name: "create", what: "room created and answering p50, of the floor's connect-and-echo", args: ["create"], figure: "p50", unit: "µs", reach: 12, aim: 8, less: true },
];

const { values: options } = argumentsOf(HELP, {
  numbers: ["rounds"],
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    peers: { type: "boolean" },
    results: { type: "string" },
    bin: { type: "string", default: join(TARGET, "dist", "chorus") },
    write: { type: "boolean" },
  },
});
const { seconds, bin } = options;
const known = options.peers ? PEER_ROWS.map(({ name }) => name) : SCENARIOS;
const wanted = options.only?.split(",").flatMap((name) => (options.peers ? [name] : GROUPS[name] ?? [name]));
const unknown = wanted?.find((name) => !known.includes(name));
if (unknown !== undefined) wrongArguments(`there is no scenario ${unknown}; there are: ${known.join(", ")}.`);
if (!(Number(seconds) > 0)) wrongArguments(`--seconds ${seconds}: not a number of seconds.`);
const isWanted = (name) => wanted === undefined || wanted.includes(name);
const wantedPairs = PAIRS.filter(({ name }) => isWanted(name));

const servers = new Servers(bin, seconds);

// ---- measuring ----

async function pairs(fsync, rounds) {
  if (wantedPairs.length === 0) return [];
  const [low, high] = [await servers.floor(), await servers.chorus({ fsync })];
  const rows = await measured(low, high, rounds, wantedPairs);
  await Promise.all([stop(low), stop(high)]);
  return rows;
}

/** Measures each of these pairs, `rounds` times. Both servers run all the time; the one that is not measured is idle. */
async function measured(low, high, rounds, all) {
  const rows = [];
  for (const pair of all) {
    const runs = [];
    for (let round = 0; round < rounds; round++) {
      const atFloor = await servers.load(low, pair.floor ?? pair.args, { raw: true, path: pair.path });
      const atChorus = await servers.load(high, pair.args);
      if (atFloor && atChorus) runs.push({ floor: atFloor[pair.floorFigure ?? pair.figure], chorus: atChorus[pair.figure], all: atChorus, low: atFloor });
    }
    const share = median(runs.map((run) => run.chorus / run.floor));
    rows.push({ ...pair, floor: median(runs.map((run) => run.floor)), chorus: median(runs.map((run) => run.chorus)), share, runs });
    progress(pair.name);
  }
  return rows;
}

/**
 * The same with a broker and PostgreSQL: an edge, a host and a monitor are processes that share the cores with the broker, with
 * PostgreSQL and with the players. The broker is also measured alone.
 */
async function cluster(rounds) {
  const { Cluster } = await import("../chorus/tests/cluster/cluster.mjs");
  const { Services } = await import("../testing/services/services.mjs");
  const services = await Services.start({ postgres: true, kafka: true });
  let system = null;
  const low = await servers.floor();
  try {
    system = await Cluster.start({
      bin,
      services,
      edges: 1,
      hosts: 1,
      monitors: 1,
      kinds: ["lobby", "bench-room", "tic-tac-toe"],
      standIns: { lobby: "bench-lobby" },
      edgeArgs: ROOMY,
      timing: { heartbeat: 2, deadAfter: 30 },
    });
    const { host: address } = new URL(system.urls[0]);
    const brokers = services.addresses.kafka;
    const hops = [];
    for (let round = 0; round < rounds; round++) hops.push((await broker(brokers)).p50);
    // `--only cluster` measures all pairs.
    const all = wantedPairs.length > 0 ? wantedPairs : PAIRS;
    const rows = await measured(low, { address, pid: system.edges[0].pid }, rounds, all);
    hops.push((await broker(brokers)).p50);
    return { rows, hop: median(hops) };
  } finally {
    await stop(low);
    await system?.stop();
    await services.stop();
  }
}

/** The time from producing a record to consuming it, by one client alone. */
async function broker(brokers) {
  const args = ["load", "--seconds", seconds, "--json", "broker", "--brokers", brokers];
  const { stdout, stderr, status } = spawnSync(bin, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the broker could not be measured: ${stderr}`);
  return JSON.parse(stdout).figures;
}

/** The watched guests are a copy, since their source is changed. */
async function swap() {
  const guests = join(scratch, "guests");
  const tools = join(GUESTS, "node_modules");
  cpSync(GUESTS, guests, { recursive: true, filter: (path) => path !== tools && !path.endsWith("/test") });
  symlinkSync(tools, join(guests, "node_modules"));
  cpSync(join(ROOT, "wit"), join(scratch, "wit"), { recursive: true });
  const compiler = join(ROOT, "engine", "node_modules");
  cpSync(join(ROOT, "engine"), join(scratch, "engine"), { recursive: true, filter: (path) => path !== compiler });
  const server = await servers.chorus({ guests });
  const figures = await servers.load(server, ["swap", "--source", join(guests, "fixtures", "bench-room.js")]);
  await stop(server);
  progress("swap");
  return figures;
}

async function neighbour() {
  // Each fault of the looping room is a warning.
  const server = await servers.chorus({ more: ["--log", "error"] });
  const figures = await servers.load(server, ["neighbour"]);
  await stop(server);
  progress("neighbour");
  return figures;
}

/** How long honest players wait while others send the most expensive legal messages, by kind of message. */
async function dearMessages(rounds) {
  const server = await servers.chorus({ limits: true, more: ["--log", "error"] });
  const all = {};
  for (const attack of ["names", "objects", "numbers"]) {
    all[attack] = await servers.load(server, ["hostile", attack, "--rounds", `${rounds}`]);
  }
  await stop(server);
  progress("dear-messages");
  return all;
}

/** One room for each core calls the host as often as allowed. */
async function hostCalls(rounds) {
  const component = join(scratch, "host-calls.wasm");
  const cargo = ["build", "--release", "--locked", "--quiet", "-p", "chorus", "-p", "chorus-host", "--example", "host-calls"];
  const built = spawnSync("cargo", cargo, { cwd: ROOT, stdio: "inherit", env: { ...process.env, CARGO_TARGET_DIR: TARGET } });
  const made = built.status === 0 && spawnSync(join(TARGET, "release", "examples", "host-calls"), [component], { stdio: "inherit" });
  if (!made || made.status !== 0) throw new Error("the component that calls its host could not be made");
  // Without the limit on computing, since such rooms could have many players.
  const server = await servers.chorus({ limits: true, more: ["--log", "error", "--compute-rate", "100000"] });
  const token = readFileSync(join(server.data, "token"), "utf8").trim();
  const env = { ...process.env, CHORUS_MONITOR: `http://${server.address}`, CHORUS_TOKEN: token };
  const published = spawnSync(bin, ["publish", component, "--kind", "host-calls"], { env, stdio: ["ignore", "ignore", "inherit"] });
  if (published.status !== 0) throw new Error("the component that calls its host could not be published");
  const figures = await servers.load(server, ["hostile", "host-calls", "--attackers", `${cpus().length}`, "--rounds", `${rounds}`]);
  await stop(server);
  progress("host-calls");
  return figures;
}

/** How long honest players wait while others attack connections, by kind of attack. Its rows in the table. */
const SIEGES = {
  slowloris: "500 handshakes of HTTP and of TLS that are never finished",
  storm: "64 clients that open a session and drop it without a pause",
  "slow-readers": "400 players that read nothing",
  pings: "32 players that send 2,000 pings a second each",
  all: "all of these at the same time",
};

async function siege(rounds) {
  // With TLS, for handshakes that are never finished; honest players of this machine connect without.
  const server = await servers.chorus({ limits: true, more: ["--log", "error", "--tls-self-signed"] });
  const all = {};
  for (const attack of Object.keys(SIEGES)) {
    all[attack] = await servers.siege(server, attack, rounds);
  }
  await stop(server);
  progress("siege");
  return all;
}

async function newcomer() {
  const server = await servers.chorus({ limits: true, lobby: "lobby", more: ["--log", "error"] });
  const figures = await servers.load(server, ["newcomer"], { measure: Math.max(10, Number(seconds)) });
  await stop(server);
  progress("newcomer");
  return figures;
}

/** The figures without sockets. The first run compiles the benchmark. */
function inProcess() {
  const args = ["bench", "--profile", "release", "--workspace", "--bench", "rooms", "--locked"];
  const ran = spawnSync(...pinned(0, "cargo", args), { cwd: ROOT, encoding: "utf8", env: { ...process.env, CARGO_TARGET_DIR: TARGET } });
  if (ran.status !== 0) console.error(ran.stderr);
  progress("in-process");
  return ran.stdout.trimEnd();
}

function progress(name) {
  process.stderr.write(`  ${name.padEnd(16)} done after ${Math.round(performance.now() / 1000)} s\n`);
}

// ---- the tables ----

const shown = (share, less) => (less ? `${short(share)} ×` : `${short(100 * share)} %`);

function table(background, always) {
  const head = ["measure", "floor", "chorus", "share of the floor's", "reach", "aim", "", "server CPU each", "with `--fsync always`"];
  const lines = background.map((row) => {
    const strict = always?.find(({ name }) => name === row.name);
    const cpu = median(row.runs.map(({ all }) => all["server CPU each"]));
    return [
      row.what, `${short(row.floor)} ${row.unit}`, `${short(row.chorus)} ${row.unit}`, shown(row.share, row.less),
      shown(row.reach, row.less), shown(row.aim, row.less), verdict(row.share, row.reach, row.aim, row.less),
      `${short(cpu)} µs`, strict ? `${short(strict.chorus)} ${strict.unit} (${shown(strict.share, row.less)})` : "",
    ];
  });
  return markdown(head, lines);
}

function throughBroker({ rows, hop }) {
  const head = ["measure", "floor", "chorus", "share of the floor's"];
  const lines = rows.map((row) => [row.what, `${short(row.floor)} ${row.unit}`, `${short(row.chorus)} ${row.unit}`, shown(row.share, row.less)]);
  const text = ["Through a broker (Apache Kafka, one process) and PostgreSQL: one edge, one host and one monitor, which share the cores with both and with the players.", "", markdown(head, lines)];
  const echo = rows.find(({ name }) => name === "echo-1");
  if (echo) {
    const rest = echo.chorus - 2 * hop - echo.floor;
    const share = echo.chorus / hop;
    text.push("", `From produce to consume the broker alone takes ${short(hop)} µs (p50, one record at a time). An echo takes ${short(echo.chorus)} µs, ${short(share)} times that (to reach: 3 times, ${share <= 3 ? "reached" : "**not reached**"}): twice through the broker ${short(2 * hop)} µs, the WebSocket ${short(echo.floor)} µs (the floor's echo), and ${short(rest)} µs for the edge, the host, the room and the ways between their threads.`);
  }
  return text.join("\n");
}

function others(swapped, beside) {
  const lines = [];
  const value = (figures, name, unit) => `${short(figures[name])} ${unit}`;
  if (swapped) {
    lines.push(`- Swap, 50 rooms with a player each: the longest wait for an answer was ${value(swapped, "longest pause before", "ms")} in the seconds before, ${value(swapped, "longest pause of the build", "ms")} while the guest was built on the same core, and ${value(swapped, "longest pause of the swap", "ms")} from the finished build (compiled, loaded, swapped) to half a second after the last room; all rooms had swapped after ${value(swapped, "from build to last room", "ms")}.`);
  }
  if (beside) {
    lines.push(`- A room beside one that loops for ever: p50 ${value(beside, "p50 alone", "µs")} alone and ${value(beside, "p50 beside a loop", "µs")} beside it; p99 ${value(beside, "p99 alone", "µs")} and ${value(beside, "p99 beside a loop", "µs")}.`);
  }
  return lines.join("\n");
}

/** The effect of hostile clients on others: alternately without and with an attack, compared pair by pair. */
function underAttack(messages, calls, flooded, sieges) {
  const head = ["measure", "calm, p50", "attacked, p50", "times: median (least to most)", "attackers cut off"];
  const row = (what, figures, place) => {
    const value = (name) => short(figures?.[name] ?? NaN);
    const times = `${value(`times ${place}`)} × (${value(`times ${place}, least`)} to ${value(`times ${place}, most`)})`;
    return [what, `${value(`p50 ${place}, calm`)} µs`, `${value(`p50 ${place}, attacked`)} µs`, times, value("times that attackers were cut off")];
  };
  const rows = Object.entries(messages ?? {}).flatMap(([attack, figures]) => [
    row(`the dearest legal message, ${attack}: players of the same room`, figures, "in the same room"),
    row(`the dearest legal message, ${attack}: players of other rooms`, figures, "in other rooms"),
  ]);
  if (calls) rows.push(row(`${cpus().length} rooms of host calls: players of other rooms`, calls, "in other rooms"));
  const parts = [];
  if (rows.length > 0) parts.push(markdown(head, rows));
  if (sieges) parts.push(besieged(sieges));
  if (flooded) {
    const when = (which) => `${short(flooded[`let in ${which}`])} % were let in, after ${short(flooded[`p50 ${which}`])} µs (p50; at most ${short(flooded[`max ${which}`])} µs)`;
    parts.push(`A newcomer, from connecting to its first \`room\` frame: alone, ${when("alone")}; while another address opened new sessions (${short(flooded["sessions of the flood"])} in all), ${when("beside a flood")}.`);
  }
  return parts.join("\n\n");
}

/** The effect of attacks on connections. */
function besieged(sieges) {
  const head = ["attack on connections", "calm: p50, p99", "attacked: p50, p99", "times of the p50: median (least to most)", "server's core busy: calm, attacked", "connections of the attackers", "ended or refused"];
  const place = "of honest players";
  const rows = Object.entries(sieges).map(([attack, figures]) => {
    const value = (name) => short(figures?.[name] ?? NaN);
    const both = (when) => `${value(`p50 ${place}, ${when}`)} µs, ${value(`p99 ${place}, ${when}`)} µs`;
    const times = `${value(`times ${place}`)} × (${value(`times ${place}, least`)} to ${value(`times ${place}, most`)})`;
    const busy = `${value("server busy, calm")} %, ${value("server busy, attacked")} %`;
    return [SIEGES[attack], both("calm"), both("attacked"), times, busy, value("connections of the attackers"), value("times that attackers were cut off")];
  });
  return markdown(head, rows);
}

function commit() {
  const git = (...args) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
  const changed = git("status", "--porcelain", "--", "*.rs", "*.js", "*.wit", "*.toml") ? " with changes" : "";
  return `${git("rev-parse", "--short=10", "HEAD")}${changed}`;
}

/** `results`: what was measured, perhaps in several runs; `rounds`: how often. */
function machine({ results = [{ commit: commit(), day: START.slice(0, 10) }], rounds = `${options.rounds} rounds of ${seconds} s, medians` } = {}) {
  const cores = hasTaskset ? "the server on one, the players on another" : "not pinned";
  const times = new Set(results.map((one) => `${one.day}, commit ${one.commit}`));
  return [
    `- Machine: ${cpus()[0].model.trim()}, ${cpus().length} cores (${cores}), ${Math.round(totalmem() / 2 ** 30)} GiB; Linux ${release()}.`,
    `- When: ${[...times].join("; ")}.`,
    `- How: \`${command()}\`; ${rounds}; load average at the end ${readFileSync("/proc/loadavg", "utf8").split(" ")[0]}.`,
  ].join("\n");
}

/** The command that repeats all of it: without paths of this machine, and without its pieces. */
function command() {
  const { peers: compares, results, only, write: writes } = options;
  const group = compares ? ["--peers"] : results ? ["--only", "growth"] : only ? ["--only", only] : [];
  return ["just bench", ...group, ...(writes ? ["--write"] : [])].join(" ");
}

function write(text, command) {
  const [begin, end] = [`<!-- begin: ${command} -->`, `<!-- end: ${command} -->`];
  const old = readFileSync(DOCUMENT, "utf8");
  const [at, until] = [old.indexOf(begin), old.indexOf(end)];
  if (at < 0 || until < 0) throw new Error(`${DOCUMENT} has lost its marks`);
  writeFileSync(DOCUMENT, `${old.slice(0, at + begin.length)}\n\n${text}\n\n${old.slice(until)}`);
  draw();
}

/** What is recorded by `record` and, with `--results`, what was recorded before. */
function recorded() {
  const file = options.results;
  const results = file && existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : [];
  const record = (one) => {
    const dated = { ...one, seconds, commit: commit(), day: START.slice(0, 10) };
    results.push(dated);
    if (file) appendFileSync(file, `${JSON.stringify(dated)}\n`);
  };
  return { results, record };
}

function publish(text, command) {
  console.log(`\n${text}`);
  if (options.write) write(text, command);
}

async function main() {
  if (!existsSync(bin)) throw new Error(`${bin} is not there: just build-dist`);
  if (options.peers) return comparePeers();
  if (MAIN.some(isWanted)) await measureMain();
  if (GROWTH.some(isWanted)) await measureGrowth();
  if (HOSTILE.some(isWanted)) await measureHostile();
  if (COMEBACK.some(isWanted)) await measureComeback();
}

async function comparePeers() {
  const versions = installColyseus();
  const { results, record } = recorded();
  // Rounds of different runs are not the same.
  const recordRound = (one) => { record({ ...one, round: `${START}, ${one.round}` }); progress(`${one.row}, ${one.side}`); };
  await measurePeers(servers, PEER_ROWS.filter(({ name }) => isWanted(name)), Number(options.rounds), recordRound);
  const rows = compared(results);
  const long = [...new Set(results.map((one) => one.seconds))].join(" and ");
  const rounds = `rounds of ${long} s (${rows.map(({ name, rounds: count }) => `${name} ${count}`).join(", ")}), medians`;
  const head = `${machine({ results, rounds })}\n- Colyseus: \`@colyseus/core\` ${versions.colyseus}, Node ${versions.node}.`;
  publish(`${head}\n\n${peerReport(rows, readFileSync(DOCUMENT, "utf8"), versions)}`, "just bench --peers --write");
}

async function measureGrowth() {
  const { results, record } = recorded();
  for (const name of GROWTH.filter((one) => isWanted(one) && Number(options.rounds) > 0)) {
    const series = await GROWING[name](servers);
    if (series) record({ growth: name, series });
    progress(name);
  }
  // The latest of each series.
  const series = Object.assign({}, ...results.filter(({ growth }) => growth).map((one) => one.series));
  const parts = [machine({ results, rounds: "each once" }), memoryTable(series), leftBehind(series), ...growthTables(series)];
  publish(parts.filter(Boolean).join("\n\n"), "just bench --only growth --write");
}

async function measureHostile() {
  const rounds = Number(options.rounds);
  const messages = isWanted("dear-messages") ? await dearMessages(rounds) : undefined;
  const calls = isWanted("host-calls") ? await hostCalls(rounds) : undefined;
  const flooded = isWanted("newcomer") ? await newcomer() : undefined;
  const sieges = isWanted("siege") ? await siege(rounds) : undefined;
  publish(`${machine()}\n\n${underAttack(messages, calls, flooded, sieges)}`, "just bench --only hostile --write");
}

async function measureComeback() {
  const rows = [];
  for (const name of COMEBACK.filter(isWanted)) {
    rows.push(await COMING_BACK[name](bin));
    progress(name);
  }
  publish(`${machine({ rounds: "each once" })}\n\n${comebackTable(rows)}`, "just bench --only comeback --write");
}

async function measureMain() {
  const background = await pairs("background", Number(options.rounds));
  const always = isWanted("always") ? await pairs("always", 1) : undefined;
  const brokered = isWanted("cluster") ? await cluster(Number(options.rounds)) : undefined;
  const swapped = isWanted("swap") ? await swap() : undefined;
  const beside = isWanted("neighbour") ? await neighbour() : undefined;
  const alone = isWanted("in-process") ? inProcess() : undefined;
  const parts = [machine(), table(background, always), others(swapped, beside)];
  if (brokered) parts.push(throughBroker(brokered));
  if (alone) parts.push("Without sockets (`cargo bench -p chorus-host`):", "```text\n" + alone + "\n```");
  publish(parts.filter(Boolean).join("\n\n"), "just bench --write");
}

await main();
