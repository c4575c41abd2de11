// `chorus dev` as a process: how it ends, and what remains of it. Not for a cluster.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { freePort } from "../../../testing/services/programs.mjs";
import { WebSocket } from "ws";

import { Chorus } from "../../../clients/js/chorus.js";
import { Server } from "../server.mjs";
import { Player, pair, play } from "./player.mjs";

/** A story with a server of its own. */
function story(name, body) {
  test(name, { timeout: 120_000 }, async () => {
    const server = await Server.start({ port: await freePort() });
    const players = [];
    const join = (name) => {
      players.push(new Player(name, server.url));
      return players.at(-1).arrive();
    };
    try {
      await body(server, join);
      players.forEach((player) => player.assertGapFree());
    } finally {
      players.forEach((player) => player.client.close());
      await server.stop();
    }
  });
}

story("Ctrl-C disconnects the players, ends with 0, and a restart continues where it was", async (server, join) => {
  const players = await pair(await join("Ana"), await join("Bo"));
  await play(players, [0, 3]);
  assert.equal(await server.interrupt(), 0, server.output);
  for (const player of players) {
    const { details } = await player.until("to be disconnected", () => player.frames.find(({ what }) => what === "disconnected"));
    assert.deepEqual([details.code, details.willRetry], [4001, true]);
  }
  await server.start();
  for (const player of players) await player.resumed(1);
  await play(players, [1, 4, 2]);
  for (const player of players) await player.sees("the end", ({ winner }) => winner === players[0].view.you);
});

story("SIGTERM ends the server in the same way", async (server, join) => {
  await join("Ana");
  assert.equal(await server.interrupt("SIGTERM"), 0, server.output);
});

test("SIGTERM ends the process in its time while a guest loops, and so does the next one", { timeout: 120_000 }, async () => {
  const server = await Server.start({ args: ["--fixtures", "--lobby", "busy-forever"] });
  try {
    for (let run = 1; run <= 2; run++) {
      if (run > 1) await server.start();
      // Each timer burns ten times the default fuel of a record, and there are many.
      await server.prints(/ran out of fuel/);
      assert.equal(await server.interrupt("SIGTERM"), 0, server.output);
    }
  } finally {
    await server.stop();
  }
});

story("a second process on the directory is refused, and the first is not affected", async (server, join) => {
  const ana = await join("Ana");
  const second = new Server({ data: server.data, port: await freePort() });
  await assert.rejects(second.start(), (error) => {
    assert.match(error.message, /ended with 1\n/);
    assert.match(error.message, /is in use by another chorus process \(pid \d+\): stop it, or give this one another directory/);
    return true;
  });
  assert.ok(Array.isArray(await ana.send("games")));
});

story("an address that is in use is reported", async (server) => {
  const data = await mkdtemp(join(tmpdir(), "chorus-"));
  const second = new Server({ data, port: new URL(server.url).port });
  await assert.rejects(second.start(), /ended with 1\n[^]*port \d+ is in use/);
  await rm(data, { recursive: true, force: true });
});

test("a lobby of another kind than the directory has is refused by name, and not ignored", async () => {
  const data = await mkdtemp(join(tmpdir(), "chorus-"));
  const port = await freePort();
  const begin = (...args) => new Server({ data, port, args: ["--fixtures", ...args] });
  const first = begin("--lobby", "chat");
  await first.start();
  await first.interrupt();
  const other = begin("--lobby", "echo");
  await assert.rejects(other.start(), (error) => {
    assert.match(error.message, /ended with 1\n/);
    assert.ok(error.message.includes(`the lobby of ${data} is of kind chat, and stays so: start with \`--lobby chat\` or without`), error.message);
    return true;
  });
  for (const again of [begin("--lobby", "chat"), begin()]) {
    await again.start();
    const client = new Chorus(`${again.url}/ws`, { name: "Ana", WebSocket, storage: null });
    const entered = new Promise((resolve) => client.on("room", resolve));
    client.connect();
    assert.equal((await entered).kind, "chat");
    client.close();
    await again.interrupt();
  }
  await rm(data, { recursive: true, force: true });
});

test("a data directory that is a file is reported", async () => {
  const data = join(await mkdtemp(join(tmpdir(), "chorus-")), "data");
  await writeFile(data, "");
  const server = new Server({ data, port: await freePort() });
  await assert.rejects(server.start(), (error) => error.message.includes(data) && /ended with 1\n/.test(error.message));
  await rm(join(data, ".."), { recursive: true, force: true });
});

story("the next process reads what the last one has left, again and again", async (server, join) => {
  const ana = await join("Ana");
  // The lobby holds no seat for a session that has sent nothing.
  await ana.send("cancel");
  const session = ana.client.session;
  for (let run = 1; run <= 4; run++) {
    await (run % 2 ? server.kill9() : server.interrupt());
    await server.start();
    await ana.resumed(run);
    assert.equal(ana.client.session, session);
    assert.deepEqual(await ana.send("cancel"), {});
  }
});

story("the page, its files and the client are served", async (server) => {
  for (const [path, type] of [["/", "text/html"], ["/style.css", "text/css"], ["/app.js", "text/javascript"], ["/chorus.js", "text/javascript"]]) {
    const response = await fetch(server.url + path);
    assert.equal(response.status, 200, path);
    assert.ok(response.headers.get("content-type").startsWith(type), path);
  }
  // The author's page is only served when guests are watched (edit.test.mjs), and this server does not watch.
  for (const path of ["/dev", "/dev/dev.js", "/dev/events", "/dev/inspector", "/dev/process", "/dev/inspector/rooms"]) assert.equal((await fetch(server.url + path)).status, 404, path);
});

test("the echo of the conformance suite is in no binary that serves players", async () => {
  const source = await readFile(new URL("../../../edge/src/echo.rs", import.meta.url), "utf8");
  const [, mark] = source.match(/pub const MARK: &str = "(.+)";/);
  const binary = await readFile(process.env.CHORUS_BIN);
  assert.ok(binary.includes("v1.json.chorus"), "texts of the edge are found in it");
  assert.ok(!binary.includes(mark));
});

test("with --json the error of a command is JSON on the standard output, and nothing else", async () => {
  const data = await mkdtemp(join(tmpdir(), "chorus-nothing-"));
  const { code, stdout, stderr } = await promisify(execFile)(process.env.CHORUS_BIN, ["room", "ls", "--data", data, "--json"], { env: { PATH: process.env.PATH } }).catch((error) => error);
  await rm(data, { recursive: true });
  assert.deepEqual([code, stderr], [1, ""]);
  const { ok, error } = JSON.parse(stdout);
  assert.equal(ok, false);
  assert.match(error, /--token-file/);
});
