// Three brokers, and each record on two of them before it is acknowledged: one is killed, and games continue without it.

import { pair, play } from "../e2e/player.mjs";
import { ends, stories } from "./stories.mjs";

// A machine that loses its broker needs a few seconds to find another, so the timing is the default of the flags.
const story = stories({ own: true, brokers: 3, replication: 3, timing: { heartbeat: 1, deadAfter: 10 } });

story("each broker in turn is killed and restarted, and the game continues", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  const { kafka } = cluster.services;
  let order = [players[1], players[0]];
  for (const [broker, cell] of [3, 1, 4].entries()) {
    await kafka.kill(broker);
    await play(order, [cell]);
    await kafka.start(broker);
    order = order.toReversed();
  }
  await ends(players, 4);
});
