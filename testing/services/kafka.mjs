/**
 * An Apache Kafka of its own: one broker or several, in KRaft mode, each one Java process that is broker and
 * controller. Acknowledged records are on the disk, and a killed broker serves again after some three seconds.
 */

import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { Brokers } from "./brokers.mjs";
import { findOrInstall, freePorts, run, start, which } from "./programs.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const POM = join(HERE, "kafka", "pom.xml");
const CLUSTER = "chorus-testing-cluster";
const INSTEAD = "set CHORUS_TEST_KAFKA";
/** Small and quick to start rather than fast in the long run. */
const JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const NEWEST_JAVA = ["default-jre-headless"];

export class Kafka extends Brokers {
  #java;
  #libs;

  static async start(folder, count = 1) {
    const kafka = new Kafka();
    kafka.#java = await findOrInstall("Java 17 or newer", findJava, NEWEST_JAVA, INSTEAD);
    kafka.#libs = await jars();
    const ports = await freePorts(2 * count);
    const nodes = Array.from({ length: count }, (_, n) => ({ n, port: ports[n], controller: ports[count + n] }));
    kafka.all = nodes.map((node) => ({ ...node, config: join(folder, `kafka-${node.n}.properties`), child: null }));
    await Promise.all(kafka.all.map((broker) => kafka.#format(broker, folder)));
    await kafka.startAll();
    return kafka;
  }

  run({ config }) {
    return this.#run(start, ["kafka.Kafka", config], JVM);
  }

  async #format(broker, folder) {
    await writeFile(broker.config, properties(broker, this.all, this.replication, join(folder, `kafka-${broker.n}`)));
    await this.#run(run, ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", broker.config], JVM);
  }

  #run(how, args, options) {
    return how(this.#java, [...options, "-cp", join(this.#libs, "*"), ...args]);
  }
}

function properties({ n, port, controller }, all, replicas, data) {
  return Object.entries({
    "process.roles": "broker,controller",
    "node.id": n + 1,
    "controller.quorum.voters": all.map((one) => `${one.n + 1}@127.0.0.1:${one.controller}`).join(","),
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": data,
    // Every record is flushed to the disk before it is acknowledged.
    "log.flush.interval.messages": 1,
    // A killed broker is declared dead, and may register again, after two seconds rather than nine.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 500,
    "auto.create.topics.enable": false,
    "default.replication.factor": replicas,
    "offsets.topic.replication.factor": replicas,
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": 1,
    "num.network.threads": 2,
    "num.io.threads": 4,
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

async function findJava() {
  const places = [process.env.JAVA_HOME && join(process.env.JAVA_HOME, "bin", "java"), which("java")];
  for (const java of places.filter(Boolean)) {
    const version = await run(java, ["-version"]).catch(() => "");
    if (Number(version.match(/version "(\d+)/)?.[1]) >= 17) return java;
  }
  return null;
}

/** The folder of jars, kept between runs and checkouts. */
async function jars() {
  const version = (await readFile(POM, "utf8")).match(/<artifactId>kafka_[\d.]+<\/artifactId>\s*<version>([^<]+)</)[1];
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "chorus", "kafka");
  const libs = join(cache, version);
  if ((await readdir(libs).catch(() => [])).length > 0) return libs;
  const maven = await findOrInstall("Maven", async () => which("mvn"), ["maven"], INSTEAD);
  console.error(`fetching Apache Kafka ${version} (45 jars, 43 MB) into ${libs} …`);
  await mkdir(cache, { recursive: true });
  // Renamed when complete. If another process was faster, its jars are used.
  const fresh = await mkdtemp(join(cache, "fetching-"));
  try {
    const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${fresh}`];
    await run(maven, ["--batch-mode", "--quiet", "--file", POM, ...goal]);
    await rename(fresh, libs).catch((error) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return libs;
}
