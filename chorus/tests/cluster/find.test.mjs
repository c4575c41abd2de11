// A room looks for rooms of all hosts, and has its answers also when its host is lost before them.

import assert from "node:assert/strict";

import { Player } from "../e2e/player.mjs";
import { answersTo, finds, seeks } from "../e2e/seekers.mjs";
import { stories } from "./stories.mjs";

const NUMBERS = [101, 102, 103, 104];
/** Rooms' partitions are random: of so many rooms, two are on different hosts. */
const ROOMS = 20;

const story = stories({ kinds: ["lobby", "seeker"], standIns: { lobby: "bench-lobby" } });

story("a room finds one of another host, and another host answers what is left when its own is killed", async ({ cluster, players }) => {
  const at = (name, edge) => (players.push(new Player(name, [cluster.urls[edge], ...cluster.urls])), players.at(-1));
  const ana = at("Ana", 0), own = await seeks(ana, 3), host = await cluster.hostOf(own);
  let other;
  for (let n = 0; n < ROOMS && other === undefined; n++) {
    const room = await seeks(at(`Ben${n}`, 1), 4);
    if ((await cluster.hostOf(room)) !== host) other = room;
  }
  assert.ok(other, "a room of another host");
  await finds(ana, 4, other);
  const sent = NUMBERS.map((number) => ana.send("look", { level: 3, number }));
  await sent[0];
  await cluster.kill([host]);
  await cluster.run(host);
  await Promise.all(sent);
  const answers = await answersTo(ana, NUMBERS);
  assert.deepEqual(answers.map(([number]) => number).sort(), NUMBERS);
  for (const [, rooms] of answers) assert.deepEqual(rooms, [own]);
});
