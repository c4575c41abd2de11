// No secret is in a log of a cluster's processes at any level, in their command lines, or in what they answer.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Services } from "../../../testing/services/services.mjs";
import { Raw } from "../e2e/raw.mjs";
import { LOUD, Secrets } from "../secrets.mjs";
import { Cluster } from "./cluster.mjs";
import { createDatabase } from "./database.mjs";

test("the life of a cluster shows no secret", { timeout: 300_000 }, async () => {
  const secrets = new Secrets();
  const random = () => randomBytes(24).toString("hex");
  const folder = mkdtempSync(join(tmpdir(), "secrets-"));
  const log = join(folder, "log"), bin = join(folder, "chorus");
  const services = await Services.start({ postgres: true, kafka: true });
  const database = await createDatabase(services.addresses.postgres);
  const address = new URL(database.url);
  // The server trusts every user, with a password or without.
  address.password = secrets.add("the database's password", random());
  const token = secrets.add("the operators' token", random());
  const sasl = secrets.add("the broker's password", random());
  const key = secrets.add("the key of players' tokens", random());
  writeFileSync(bin, `#!/bin/bash\nexec "$CHORUS_BIN" "$@" 2> >(tee -a ${log} >&2)\n`);
  chmodSync(bin, 0o755);
  const settings = { CHORUS_LOG: LOUD, CHORUS_KAFKA: `sasl.username=chorus;sasl.password=${sasl}`, CHORUS_TOKEN_KEY: key, CHORUS_ANONYMOUS: "true" };
  const before = Object.fromEntries(Object.keys(settings).map((name) => [name, process.env[name]]));
  Object.assign(process.env, settings);
  let cluster;
  try {
    cluster = await Cluster.start({ bin, services, database: address.href, token, edges: 1, hosts: 1, monitors: 1 });
    for (const { name, pid } of cluster.machines) secrets.see(`the command line of ${name}`, readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    const [url] = cluster.urls;
    const raw = await Raw.connect(url);
    const welcome = await raw.arrive("Ana");
    for (const name of ["resume", "guest"]) secrets.add(`the ${name} token`, welcome[name]);
    raw.terminate();
    const again = await Raw.connect(url);
    const resumed = await again.hello({ resume: welcome.resume, guest: welcome.guest });
    assert.equal(resumed.session, welcome.session);
    secrets.add("the next resume token", resumed.resume);
    again.terminate();
    for (const machine of cluster.machines) {
      const authorization = `Bearer ${token}`;
      secrets.see(`the metrics of ${machine.name}`, await machine.metrics({ authorization }));
      secrets.see(`the readiness of ${machine.name}`, JSON.stringify(await machine.readiness()));
    }
    for (const path of ["/v1/status", "/v1/machines", "/v1/rooms", "/v1/kinds"]) secrets.see(path, JSON.stringify(await cluster.get(path)));
    secrets.see("an operator's output", JSON.stringify(await cluster.operator.status()));
    await cluster.retire(cluster.machines);
    const text = readFileSync(log, "utf8");
    assert.match(text, /DEBUG/);
    secrets.see("the logs", text);
    secrets.see("what they print", cluster.machines.map(({ output }) => output).join("\n"));
    assert.deepEqual(secrets.found(), []);
  } finally {
    for (const [name, value] of Object.entries(before)) value === undefined ? delete process.env[name] : (process.env[name] = value);
    await cluster?.stop();
    await database.drop().catch(() => {});
    await services.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
