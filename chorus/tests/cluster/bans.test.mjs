// A ban takes effect at every edge of a cluster.

import assert from "node:assert/strict";

import { pair, play } from "../e2e/player.mjs";
import { stories } from "./stories.mjs";

/** Four times what was measured: see docs/operating.md. */
const OUT_MS = 3_000;

const story = stories({ edges: 3 });

story("a banned player is out of every edge and stays out, and the others play on", async ({ cluster, raw, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  const first = await raw(0);
  const { guest, player } = await first.hello({ name: "Cheat" });
  const clients = [first];
  for (const edge of [1, 2]) {
    clients.push(await raw(edge));
    assert.equal((await clients.at(-1).hello({ guest })).player, player);
  }
  const began = performance.now();
  const ended = Promise.all(clients.map((client) => client.closed())).then((ends) => ({ ends, ms: performance.now() - began }));
  const { sessions } = await cluster.operator.chorus("player", "ban", player, "--reason", "cheating");
  const { ends, ms } = await ended;
  console.log(`out of every edge ${Math.round(ms)} ms after the command began`);
  assert.equal(sessions, 3);
  assert.deepEqual(ends, Array(3).fill({ code: 4503, reason: "cheating" }));
  assert.ok(ms < OUT_MS, `it took ${Math.round(ms)} ms`);
  for (const edge of [0, 1, 2]) {
    const again = await raw(edge);
    again.send({ t: "hello", guest });
    assert.deepEqual(await again.closed(), { code: 4503, reason: "cheating" }, `edge ${edge}`);
  }
  await play(players, [1, 4, 2]);
  await cluster.operator.chorus("player", "unban", player);
  const back = await raw(1);
  assert.equal((await back.hello({ guest })).player, player);
});

story("a player who is banned in mid-game leaves it at once, and the other one wins", async ({ cluster, two }) => {
  const [ana, bo] = await pair(...(await two()));
  await play([ana, bo], [0]);
  const refused = new Promise((resolve) => bo.client.on("disconnected", resolve));
  await cluster.operator.chorus("player", "ban", bo.client.player, "--reason", "cheating");
  const { code, reason, willRetry } = await refused;
  assert.deepEqual([code, reason, willRetry], [4503, "cheating", false]);
  await ana.sees("the end", ({ winner }) => winner === ana.view.you);
  await cluster.operator.chorus("player", "unban", bo.client.player);
});
