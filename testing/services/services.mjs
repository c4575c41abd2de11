/**
 * Real services for tests: PostgreSQL and Apache Kafka, on free ports of loopback, in a temporary folder.
 *
 *   node testing/services/services.mjs [postgres] [kafka] [--brokers N] [--own]              until its input ends
 *   node testing/services/services.mjs [postgres] [kafka] [--brokers N] [--own] -- COMMAND   as long as COMMAND runs
 *
 * The first prints one line of JSON, `{"postgres": URL, "kafka": "HOST:PORT,…"}`, when all of them answer, and then
 * reads commands, one a line, each answered by a line of JSON: `kill kafka 0`, `start kafka 0`, `kill postgres`,
 * `stop postgres`, `start postgres`. The second gives COMMAND the addresses in CHORUS_TEST_POSTGRES and
 * CHORUS_TEST_KAFKA, how many copies of each record the brokers can keep in CHORUS_TEST_KAFKA_REPLICATION, and in
 * CHORUS_TEST_SERVICES the path of this file, for tests that need services of their own; it exits with COMMAND's status.
 * Naming neither service means both.
 *
 * Addresses that are in those variables already are used as they are, unless `--own` asks for services that may be
 * killed. CHORUS_TEST_REDPANDA is the path of a `redpanda`, to be started in place of Apache Kafka. All started processes
 * are ended by their own handles: when the input ends, on SIGTERM or SIGINT, or with this process.
 */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Kafka } from "./kafka.mjs";
import { Postgres } from "./postgres.mjs";
import { Redpanda } from "./redpanda.mjs";

const GIVEN = { postgres: "CHORUS_TEST_POSTGRES", kafka: "CHORUS_TEST_KAFKA" };
/** The path of a Redpanda's binary, to be started in place of Apache Kafka. */
const REDPANDA = "CHORUS_TEST_REDPANDA";

/** Running services. `kafka` and `postgres` are null when they were not requested, or were already running. */
export class Services {
  addresses = {};
  kafka = null;
  postgres = null;
  #folder;

  static async start({ postgres = false, kafka = false, brokers = 1, own = false } = {}) {
    const services = new Services();
    services.#folder = await mkdtemp(join(tmpdir(), "chorus-services-"));
    const given = (name) => (own ? undefined : process.env[GIVEN[name]]);
    const starts = [];
    if (postgres) starts.push(services.#postgres(given("postgres")));
    if (kafka) starts.push(services.#kafka(given("kafka"), brokers));
    const failed = (await Promise.allSettled(starts)).find(({ status }) => status === "rejected");
    if (failed) {
      await services.stop();
      throw failed.reason;
    }
    return services;
  }

  async #postgres(given) {
    if (!given) this.postgres = await Postgres.start(this.#folder);
    this.addresses.postgres = given ?? this.postgres.url;
  }

  async #kafka(given, brokers) {
    const redpanda = process.env[REDPANDA];
    const start = () => (redpanda ? Redpanda.start(redpanda, this.#folder, brokers) : Kafka.start(this.#folder, brokers));
    if (!given) this.kafka = await start();
    this.addresses.kafka = given ?? this.kafka.brokers;
  }

  /** The environment variables that tests read. */
  get environment() {
    const named = Object.entries(this.addresses).map(([name, address]) => [GIVEN[name], address]);
    const replication = this.kafka ? { CHORUS_TEST_KAFKA_REPLICATION: String(this.kafka.replication) } : {};
    return { ...Object.fromEntries(named), ...replication, CHORUS_TEST_SERVICES: fileURLToPath(import.meta.url) };
  }

  async stop() {
    await Promise.all([this.kafka?.stop(), this.postgres?.stop()]);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function parse(words) {
  const at = words.indexOf("--");
  const { values, positionals } = parseArgs({
    args: at < 0 ? words : words.slice(0, at),
    allowPositionals: true,
    options: { own: { type: "boolean", default: false }, brokers: { type: "string", default: "1" } },
  });
  const unknown = positionals.find((name) => !Object.hasOwn(GIVEN, name));
  if (unknown) throw new Error(`there is no service ${unknown}: see the head of services.mjs`);
  const brokers = Number(values.brokers);
  if (!(brokers > 0)) throw new Error(`--brokers ${values.brokers}: not a number above 0`);
  const wanted = (name) => positionals.length === 0 || positionals.includes(name);
  const options = { own: values.own, brokers, postgres: wanted("postgres"), kafka: wanted("kafka") };
  return { options, command: at < 0 ? null : words.slice(at + 1) };
}

async function main() {
  const { options, command } = parse(process.argv.slice(2));
  const ended = new Promise((resolve) => ["SIGINT", "SIGTERM"].forEach((signal) => process.on(signal, resolve)));
  const services = await Services.start(options);
  try {
    process.exitCode = await (command ? runCommand(services, command, ended) : readCommands(services, ended));
  } finally {
    await services.stop();
  }
}

async function runCommand(services, [program, ...args], ended) {
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...services.environment } });
  ended.then(() => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

async function readCommands(services, ended) {
  const reply = (value) => console.log(JSON.stringify(value));
  reply(services.addresses);
  const commands = createInterface({ input: process.stdin });
  ended.then(() => commands.close());
  for await (const command of commands) {
    const executed = execute(services, command.trim());
    await executed.then(() => reply({ done: command }), (error) => reply({ failed: error.message }));
  }
  return 0;
}

async function execute(services, command) {
  const [, broker, n] = command.match(/^(kill|start) kafka (\d+)$/) ?? [];
  const [, postgres] = command.match(/^(kill|stop|start) postgres$/) ?? [];
  if (broker && services.kafka) return services.kafka[broker](Number(n));
  if (postgres && services.postgres) return services.postgres[postgres]();
  throw new Error(`cannot execute ${JSON.stringify(command)}: no such command, or a service that was not started here`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error(`services: ${error.message}`);
    process.exitCode = 1;
  });
  process.exit(); // Even if a handle is still open.
}
