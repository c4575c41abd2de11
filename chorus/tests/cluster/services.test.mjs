// The broker and PostgreSQL are killed and restarted while people play: games pause, and then continue.

import assert from "node:assert/strict";

import { pair, play } from "../e2e/people.mjs";
import { ends, stories } from "./stories.mjs";

// Services of its own, since these stories kill them.
const story = stories({ own: true });

story("the broker is killed in mid-game, and what was sent meanwhile is answered when it is back", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  await cluster.services.kafka.kill(0);
  const sent = players[0].move(1);
  await cluster.services.kafka.start(0);
  assert.deepEqual(await sent, {});
  await ends(players, 3);
});

story("PostgreSQL is killed: games in play continue, and new players wait for it", async ({ cluster, two, come }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  await cluster.services.postgres.kill();
  await play([players[1], players[0]], [3, 1]);
  const late = come("Cid", 0);
  await cluster.services.postgres.start();
  assert.equal((await late).client.room.kind, "lobby");
  await ends(players, 3);
});

story("both are killed at once, and come back", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  const { kafka, postgres } = cluster.services;
  await Promise.all([kafka.kill(0), postgres.kill()]);
  await Promise.all([kafka.start(0), postgres.start()]);
  await ends(players, 2);
});
