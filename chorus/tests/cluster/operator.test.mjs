// An operator uses the `chorus` command while games are played: to inspect, drain, publish and swap.

import assert from "node:assert/strict";
import { readFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { pair, play } from "../e2e/player.mjs";
import { ends, stories } from "./stories.mjs";

const DIST = fileURLToPath(new URL("../../../guests/dist", import.meta.url));
/** A room's state is stored when the room hibernates: here, soon after the last move. */
const story = stories({ hostArgs: ["--hibernate-after", "1"] });

story("status lists the machines, and no problem", async ({ cluster }) => {
  const { monitor, machines, partitions, kinds, problems } = await cluster.operator.status();
  assert.ok(cluster.monitors.some(({ id }) => id === monitor.active));
  assert.deepEqual([machines.edge.alive, machines.host.alive, machines.monitor.alive], [2, 2, 2]);
  assert.deepEqual(partitions, { count: cluster.options.partitions, hosted: cluster.options.partitions });
  assert.deepEqual(kinds.map(({ kind, version }) => [kind, version]), [["lobby", 1], ["tic-tac-toe", 1]]);
  assert.deepEqual(problems, []);
});

story("a wrong token is refused", async ({ cluster }) => {
  const stranger = Object.assign(Object.create(cluster.operator), { token: "guessed-guessed-guessed" });
  await assert.rejects(stranger.status(), /token/);
});

story("hosts share the partitions evenly", async ({ cluster }) => {
  const hosts = (await cluster.operator.machines()).filter(({ role, state }) => role === "host" && state === "alive");
  const counts = hosts.map(({ partitions }) => partitions.length).sort();
  assert.deepEqual(counts, [cluster.options.partitions / 2, cluster.options.partitions / 2]);
});

story("a host is drained in mid-game: it leaves, its game continues on another, no socket closes", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  const host = await cluster.hostOf(players[0].client.room.id);
  const { id } = host;
  await cluster.operator.chorus("machine", "drain", id, "--wait");
  assert.ok(!(await cluster.operator.machines()).some((machine) => machine.id === id));
  await ends(players, 2);
});

story("a room is listed, its state is shown, and so are its records", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  const room = players[0].client.room.id;
  await play(players, [0, 3]);
  await cluster.until("for the room to be listed", async () => {
    const { rooms } = await cluster.operator.chorus("room", "ls", "--kind", "tic-tac-toe", "--status", "live");
    return rooms.some(({ id }) => id === room) ? null : `${rooms.length} rooms are`;
  });
  const found = await cluster.operator.chorus("room", "get", room);
  assert.equal(cluster.hosts.some(({ id }) => id === found.host), true);
  // The room is listed at once; its state is the latest one that was stored.
  const marks = JSON.stringify([0, 1].map((n) => players[n].view.you));
  await cluster.until("for its state to be stored", async () => {
    const shown = await cluster.operator.chorus("room", "state", room).catch(({ message }) => ({ missing: message }));
    const board = shown.state?.state.board ?? [];
    const names = shown.members?.map(({ name }) => name).sort();
    const stored = `${names}` === "Ana,Bo" && JSON.stringify([0, 3].map((cell) => board[cell])) === marks;
    return stored ? null : (shown.missing ?? `${names} and ${board} are stored`);
  });
  await ends(players, 2);
});

story("a new version is published and swapped in, in mid-game: the state is carried, no socket closes", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  const room = players[0].client.room.id;
  await play(players, [0, 3]);
  const folder = await mkdtemp(join(tmpdir(), "chorus-"));
  try {
    const { version, digest, active } = await cluster.operator.publish("tic-tac-toe", await anotherVersion(folder));
    assert.deepEqual([version, active], [2, false]);
    await play(players, [1]);
    await cluster.operator.chorus("swap", "tic-tac-toe");
    await cluster.until("for the room to run it", async () => {
      const { component } = await cluster.operator.chorus("room", "get", room);
      return component === digest ? null : `it runs ${component}`;
    });
  } finally {
    await rm(folder, { recursive: true });
  }
  await ends(players, 3);
});

/** The same script as another component: with an additional custom section. */
async function anotherVersion(folder) {
  const manifest = JSON.parse(await readFile(join(DIST, "manifest.json"), "utf8"));
  const wasm = await readFile(join(DIST, manifest["tic-tac-toe"].file));
  const name = Buffer.from("another");
  const section = Buffer.from([0, name.length + 1, name.length, ...name]);
  const file = join(folder, "tic-tac-toe-another.wasm");
  await writeFile(file, Buffer.concat([wasm, section]));
  return file;
}
