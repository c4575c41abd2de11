// Rooms look for rooms, also when the server is killed before the answer. Not for a cluster, which has a story of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { Player } from "./player.mjs";
import { answersTo, finds, seeks } from "./seekers.mjs";

const NUMBERS = [101, 102, 103, 104, 105, 106, 107, 108];

let server;
before(async () => {
  server = await Server.start({ args: ["--fixtures", "--lobby", "bench-lobby"], port: await freePort() });
});
after(() => server?.stop());

test("a room finds the rooms with this metadata, and each search has one answer, also over a kill", { timeout: 120_000 }, async (t) => {
  const [ana, ben] = ["Ana", "Ben"].map((name) => new Player(name, server.url));
  t.after(() => [ana, ben].forEach(({ client }) => client.close()));
  const [own, other] = [await seeks(ana, 3), await seeks(ben, 4)];
  await finds(ana, 4, other);
  const sent = NUMBERS.map((number) => ana.send("look", { level: 3, number }).catch(() => {}));
  await sent[0];
  await server.kill9();
  await server.start();
  await ana.resumed(1);
  const answers = await answersTo(ana, NUMBERS);
  assert.deepEqual(answers.map(([number]) => number).sort(), NUMBERS);
  for (const [, rooms] of answers) assert.deepEqual(rooms, [own]);
});
