// The table of docs/performance.md: `just bench [options]`, or `node scripts/bench.mjs --help`.
//
// The server is pinned to one core and the players to another, if there are two and `taskset`. Every scenario runs in pairs, at
// the floor and then at chorus, and the share of the floor is the median of the pairs: a disturbance of the machine mostly
// affects both halves of a pair.

import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { cpus, homedir, release, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { argumentsOf, wrongArguments } from "./arguments.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const GUESTS = join(ROOT, "guests");
const DOCUMENT = join(ROOT, "docs", "performance.md");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "chorus", "target");
/** Idle rooms hibernate after this time, where that is measured. */
const ASIDE_SECONDS = 12;

/** Scenarios of hostile clients: `--only hostile` selects all of them. They have a table of their own. */
const HOSTILE = ["dear-messages", "host-calls", "newcomer"];
const SCENARIOS = ["echo-1", "echo-100", "fan-out", "tic-tac-toe", "create", "memory", "swap", "neighbour", "always", "cluster", "in-process", ...HOSTILE];

const HELP = `Usage: node scripts/bench.mjs [options]

Measures chorus and the floor, and prints one table. Needs the binary (cargo build --release -p chorus) and the guests
(node guests/build.mjs). Takes about a quarter of an hour.

  --seconds N       how long each scenario is measured, each time (default: 3)
  --rounds N        how often each pair of floor and chorus runs (default: 3)
  --only a,b        some scenarios: ${SCENARIOS.join(", ")};
                    or hostile, which is the last three, and takes about three minutes
  --bin FILE        the chorus binary
  --write           puts the tables into docs/performance.md: that of the hostile scenarios, and that of the others
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
    bin: { type: "string", default: join(TARGET, "release", "chorus") },
    write: { type: "boolean" },
  },
});
const { seconds, bin } = options;
const wanted = options.only?.split(",").flatMap((name) => (name === "hostile" ? HOSTILE : [name]));
const unknown = wanted?.find((name) => !SCENARIOS.includes(name));
if (unknown !== undefined) wrongArguments(`there is no scenario ${unknown}; there are: ${SCENARIOS.join(", ")}.`);
if (!(Number(seconds) > 0)) wrongArguments(`--seconds ${seconds}: not a number of seconds.`);
const isWanted = (name) => wanted === undefined || wanted.includes(name);
const wantedPairs = PAIRS.filter(({ name }) => isWanted(name));

// ---- processes ----

const hasTaskset = spawnSync("taskset", ["--version"]).status === 0 && cpus().length > 1;
const pinned = (core, program, args) => hasTaskset ? ["taskset", ["-c", `${core}`, program, ...args]] : [program, args];

/** Running processes and the directory of their data: ended and deleted when this process exits. */
const running = new Set();
const scratch = mkdtempSync(join(tmpdir(), "chorus-bench-"));
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** Starts a server on core 0, and resolves when it has printed its address. `taskset` execs it, so the pid is the server's. */
async function serve(args, announcement) {
  const child = spawn(...pinned(0, bin, args), { stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  for await (const line of createInterface({ input: child.stdout })) {
    const at = announcement.exec(line);
    if (at) {
      child.stdout.resume();
      return { child, pid: child.pid, address: at[1] };
    }
  }
  throw new Error(`${args.join(" ")} ended before it printed its address`);
}

const floor = () => serve(["load", "floor"], /ws:\/\/([\d.:]+)\//);

/** All players have one address, and send as fast as they can. */
const ROOMY = ["--rate", "1000000", "--new-sessions", "1000000", "--max-connections-per-address", "100000", "--compute-rate", "100000"];

let servers = 0;

/** `limits`: with the default limits, for the scenarios that they are meant for. */
async function chorus({ fsync = "background", guests, more = [], limits = false, lobby = "bench-lobby" } = {}) {
  const data = join(scratch, `data-${servers++}`);
  const base = ["dev", "--fixtures", "--lobby", lobby, ...(limits ? [] : ROOMY), "--port", "0", "--fsync", fsync, "--data", data];
  const where = guests ? ["--guests", guests] : ["--guests", GUESTS, "--no-watch"];
  return { ...(await serve([...base, ...where, ...more], /http:\/\/([\d.:]+)\//)), data };
}

async function stop(server) {
  const gone = new Promise((resolve) => server.child.once("exit", resolve));
  server.child.kill("SIGTERM");
  await gone;
}

/** Runs one scenario on core 1. Resolves with its figures, or prints that it failed and resolves with null. */
async function load(server, args, { raw = false, path = "/echo", warmUp = 1, measure = seconds } = {}) {
  const url = `ws://${server.address}${raw ? path : "/ws"}`;
  const common = ["load", "--url", url, "--server-pid", `${server.pid}`, "--seconds", `${measure}`, "--warm-up", `${warmUp}`, "--json"];
  const child = spawn(...pinned(1, bin, [...common, ...(raw ? ["--raw"] : []), ...args]), { stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (piece) => { text += piece; });
  const code = await new Promise((resolve) => child.once("close", resolve));
  running.delete(child);
  if (code === 0) return JSON.parse(text).figures;
  console.error(`(${args.join(" ")} failed)`);
  return null;
}

// ---- figures ----

const median = (numbers) => {
  const sorted = numbers.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.floor(sorted.length / 2)];
};

async function pairs(fsync, rounds) {
  if (wantedPairs.length === 0) return [];
  const [low, high] = [await floor(), await chorus({ fsync })];
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
      const atFloor = await load(low, pair.floor ?? pair.args, { raw: true, path: pair.path });
      const atChorus = await load(high, pair.args);
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
  const low = await floor();
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

async function memory() {
  const idleServer = await chorus();
  const idle = await load(idleServer, ["idle"]);
  await stop(idleServer);
  progress("idle");
  // The players read nothing while their rooms hibernate, so they answer no ping either.
  const server = await chorus({ more: ["--hibernate-after", `${ASIDE_SECONDS}`, "--ping", "600"] });
  const rooms = await load(server, ["rooms", "--hibernate-after", `${ASIDE_SECONDS}`]);
  await stop(server);
  progress("rooms");
  return { ...idle, ...rooms };
}

/** The watched guests are a copy, since their source is changed. */
async function swap() {
  const guests = join(scratch, "guests");
  const tools = join(GUESTS, "node_modules");
  cpSync(GUESTS, guests, { recursive: true, filter: (path) => path !== tools && !path.endsWith("/test") });
  symlinkSync(tools, join(guests, "node_modules"));
  cpSync(join(ROOT, "wit"), join(scratch, "wit"), { recursive: true });
  const server = await chorus({ guests });
  const figures = await load(server, ["swap", "--source", join(guests, "fixtures", "bench-room.js")]);
  await stop(server);
  progress("swap");
  return figures;
}

async function neighbour() {
  // Each fault of the looping room is a warning.
  const server = await chorus({ more: ["--log", "error"] });
  const figures = await load(server, ["neighbour"]);
  await stop(server);
  progress("neighbour");
  return figures;
}

/** How long honest players wait while others send the most expensive legal messages, by kind of message. */
async function dearMessages(rounds) {
  const server = await chorus({ limits: true, more: ["--log", "error"] });
  const all = {};
  for (const attack of ["names", "objects", "numbers"]) {
    all[attack] = await load(server, ["hostile", attack, "--rounds", `${rounds}`]);
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
  const server = await chorus({ limits: true, more: ["--log", "error", "--compute-rate", "100000"] });
  const token = readFileSync(join(server.data, "token"), "utf8").trim();
  const env = { ...process.env, CHORUS_MONITOR: `http://${server.address}`, CHORUS_TOKEN: token };
  const published = spawnSync(bin, ["publish", component, "--kind", "host-calls"], { env, stdio: ["ignore", "ignore", "inherit"] });
  if (published.status !== 0) throw new Error("the component that calls its host could not be published");
  const figures = await load(server, ["hostile", "host-calls", "--attackers", `${cpus().length}`, "--rounds", `${rounds}`]);
  await stop(server);
  progress("host-calls");
  return figures;
}

async function newcomer() {
  const server = await chorus({ limits: true, lobby: "lobby", more: ["--log", "error"] });
  const figures = await load(server, ["newcomer"], { measure: Math.max(10, Number(seconds)) });
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
  process.stderr.write(`  ${name.padEnd(12)} done after ${Math.round(performance.now() / 1000)} s\n`);
}

// ---- the table ----

function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

const verdict = (value, reach, aim, less) => {
  const within = (target) => (less ? value <= target : value >= target);
  if (!Number.isFinite(value)) return "not measured";
  return within(aim) ? "aim reached" : within(reach) ? "reached" : "**not reached**";
};

const shown = (share, less) => (less ? `${short(share)} ×` : `${short(100 * share)} %`);

function table(background, always, used) {
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
  const kib = (what, figure, reach, aim) => {
    const value = used?.[`memory of a ${figure}`];
    const tables = used?.[`page tables of a ${figure}`];
    return [what, "", `${short(value)} KiB`, "", `${reach} KiB`, `${aim} KiB`, verdict(value, reach, aim, true), "", `page tables: ${short(tables)} KiB more`];
  };
  if (used) {
    lines.push(
      kib("memory: active room of two players, sandbox included", "active room", 400, 200),
      kib("memory: hibernated room", "hibernated room", 2, 1),
      kib("memory: idle connection", "connection", 16, 8),
    );
  }
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function throughBroker({ rows, hop }) {
  const head = ["measure", "floor", "chorus", "share of the floor's"];
  const lines = rows.map((row) => [row.what, `${short(row.floor)} ${row.unit}`, `${short(row.chorus)} ${row.unit}`, shown(row.share, row.less)]);
  const text = ["Through a broker (Apache Kafka, one process) and PostgreSQL: one edge, one host and one monitor, which share the cores with both and with the players.", "", ...[head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`)];
  const echo = rows.find(({ name }) => name === "echo-1");
  if (echo) {
    const rest = echo.chorus - 2 * hop - echo.floor;
    const share = echo.chorus / hop;
    text.push("", `From produce to consume the broker alone takes ${short(hop)} µs (p50, one record at a time). An echo takes ${short(echo.chorus)} µs, ${short(share)} times that (to reach: 3 times, ${share <= 3 ? "reached" : "**not reached**"}): twice through the broker ${short(2 * hop)} µs, the WebSocket ${short(echo.floor)} µs (the floor's echo), and ${short(rest)} µs for the edge, the host, the room and the ways between their threads.`);
  }
  return text.join("\n");
}

function others(used, swapped, beside) {
  const lines = [];
  const value = (figures, name, unit) => `${short(figures[name])} ${unit}`;
  if (swapped) {
    lines.push(`- Swap, 50 rooms with a player each: the longest wait for an answer was ${value(swapped, "longest pause before", "ms")} in the seconds before, ${value(swapped, "longest pause of the build", "ms")} while the guest was built on the same core, and ${value(swapped, "longest pause of the swap", "ms")} from the finished build (compiled, loaded, swapped) to half a second after the last room; all rooms had swapped after ${value(swapped, "from build to last room", "ms")}.`);
  }
  if (beside) {
    lines.push(`- A room beside one that loops for ever: p50 ${value(beside, "p50 alone", "µs")} alone and ${value(beside, "p50 beside a loop", "µs")} beside it; p99 ${value(beside, "p99 alone", "µs")} and ${value(beside, "p99 beside a loop", "µs")}.`);
  }
  if (used) {
    lines.push(`- Of rooms that were all active at the same time and put aside together, ${value(used, "memory of a room that others were active with", "KiB")} each stay with the process until others use them.`);
    lines.push(`- The first message to a room that was put aside is answered after ${value(used, "p50 of waking", "µs")} (p50).`);
  }
  return lines.join("\n");
}

/** The effect of hostile clients on others: alternately without and with an attack, compared pair by pair. */
function underAttack(messages, calls, flooded) {
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
  if (rows.length > 0) parts.push([head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n"));
  if (flooded) {
    const when = (which) => `${short(flooded[`let in ${which}`])} % were let in, after ${short(flooded[`p50 ${which}`])} µs (p50; at most ${short(flooded[`max ${which}`])} µs)`;
    parts.push(`A newcomer, from connecting to its first \`room\` frame: alone, ${when("alone")}; while another address opened new sessions (${short(flooded["sessions of the flood"])} in all), ${when("beside a flood")}.`);
  }
  return parts.join("\n\n");
}

function machine() {
  const git = (...args) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
  const changed = git("status", "--porcelain", "--", "*.rs", "*.js", "*.wit", "*.toml") ? " with changes" : "";
  const cores = hasTaskset ? "the server on one, the players on another" : "not pinned";
  return [
    `- Machine: ${cpus()[0].model.trim()}, ${cpus().length} cores (${cores}), ${Math.round(totalmem() / 2 ** 30)} GiB; Linux ${release()}.`,
    `- When: ${new Date().toISOString().slice(0, 10)}, commit ${git("rev-parse", "--short=10", "HEAD")}${changed}.`,
    // The path of the binary is private.
    `- How: \`just bench ${process.argv.slice(2).filter((word, n, all) => ![word, all[n - 1]].includes("--bin")).join(" ")}\`; ${options.rounds} rounds of ${seconds} s, medians; load average at the end ${readFileSync("/proc/loadavg", "utf8").split(" ")[0]}.`,
  ].join("\n");
}

function write(text, command) {
  const [begin, end] = [`<!-- begin: ${command} -->`, `<!-- end: ${command} -->`];
  const old = readFileSync(DOCUMENT, "utf8");
  const [at, until] = [old.indexOf(begin), old.indexOf(end)];
  if (at < 0 || until < 0) throw new Error(`${DOCUMENT} has lost its marks`);
  writeFileSync(DOCUMENT, `${old.slice(0, at + begin.length)}\n\n${text}\n\n${old.slice(until)}`);
}

async function main() {
  if (!existsSync(bin)) throw new Error(`${bin} is not there: cargo build --release -p chorus`);
  const background = await pairs("background", Number(options.rounds));
  const always = isWanted("always") ? await pairs("always", 1) : undefined;
  const brokered = isWanted("cluster") ? await cluster(Number(options.rounds)) : undefined;
  const used = isWanted("memory") ? await memory() : undefined;
  const swapped = isWanted("swap") ? await swap() : undefined;
  const beside = isWanted("neighbour") ? await neighbour() : undefined;
  const alone = isWanted("in-process") ? inProcess() : undefined;
  const rounds = Number(options.rounds);
  const messages = isWanted("dear-messages") ? await dearMessages(rounds) : undefined;
  const calls = isWanted("host-calls") ? await hostCalls(rounds) : undefined;
  const flooded = isWanted("newcomer") ? await newcomer() : undefined;
  const attacked = underAttack(messages, calls, flooded);
  if (attacked) {
    const text = `${machine()}\n\n${attacked}`;
    console.log(`\n${text}`);
    if (options.write) write(text, "just bench --only hostile --write");
  }
  if (wanted?.every((name) => HOSTILE.includes(name))) return;

  const parts = [machine(), table(background, always, used), others(used, swapped, beside)];
  if (brokered) parts.push(throughBroker(brokered));
  if (alone) parts.push("Without sockets (`cargo bench -p chorus-host`):", "```text\n" + alone + "\n```");
  const text = parts.filter(Boolean).join("\n\n");
  console.log(`\n${text}`);
  if (options.write) write(text, "just bench --write");
}

await main();
