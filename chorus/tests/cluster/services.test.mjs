// The broker and PostgreSQL are killed and restarted while games are played: games pause, and then continue.

import assert from "node:assert/strict";

import { pair, play } from "../e2e/player.mjs";
import { ends, stories } from "./stories.mjs";

// Services of its own, since these stories kill them.
const story = stories({ own: true });

story("the broker is killed in mid-game, and messages sent meanwhile are answered after its restart", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  await cluster.services.kafka.kill(0);
  const sent = players[0].move(1);
  await cluster.services.kafka.start(0);
  assert.deepEqual(await sent, {});
  await ends(players, 3);
});

story("PostgreSQL is killed: games in play continue, and new players wait for it", async ({ cluster, two, join }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  await cluster.services.postgres.kill();
  await play([players[1], players[0]], [3, 1]);
  const late = join("Cid", 0);
  await cluster.services.postgres.start();
  assert.equal((await late).client.room.kind, "lobby");
  await ends(players, 3);
});

story("both are killed at once, and restarted", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  const { kafka, postgres } = cluster.services;
  await Promise.all([kafka.kill(0), postgres.kill()]);
  await Promise.all([kafka.start(0), postgres.start()]);
  await ends(players, 2);
});
