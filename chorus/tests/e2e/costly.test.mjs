// A stranger sends messages that exceed a room's budget: they are charged to the stranger, not to the room or other members.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

/** Twice as many as the faults in a row that would end a room if they were charged to it. */
const MESSAGES = 10;

let lobby, games;
before(async () => {
  lobby = await Server.start({ args: ["--fixtures", "--lobby", "spin-forever"] });
  games = await Server.start({ args: ["--fixtures", "--lobby", "bench-lobby"] });
});
after(async () => {
  await lobby?.stop();
  await games?.stop();
});

test("expensive messages of one client do not end the lobby, and another one plays on", { timeout: 120_000 }, async () => {
  const [stranger, bystander] = [await Raw.connect(lobby.url), await Raw.connect(lobby.url)];
  await stranger.arrive("Stranger");
  await bystander.arrive("Bystander");
  await plays(stranger, bystander, 1);
});

test("nor do they end a game", { timeout: 120_000 }, async () => {
  const [stranger, bystander] = [await Raw.connect(games.url), await Raw.connect(games.url)];
  for (const [client, name] of [[stranger, "Stranger"], [bystander, "Bystander"]]) {
    await client.arrive(name);
    client.send({ t: "msg", id: 1, type: "enter", data: { kind: "spin-forever", key: "costly", size: 2 } });
  }
  for (const client of [stranger, bystander]) await client.frame("room", ({ kind }) => kind === "spin-forever");
  await plays(stranger, bystander, 2);
});

/** The edge may delay the stranger, or close its connection: both are correct. */
async function plays(stranger, bystander, first) {
  let charged = 0;
  for (let id = first; id < first + MESSAGES; id++) {
    stranger.send({ t: "msg", id, type: "spin" });
    const answer = await stranger.answer(id).catch((error) => ({ code: error.message }));
    if (answer.code === "too_costly") charged += 1;
    else assert.match(answer.code, /rate_limited|closed with 4029/);
    bystander.send({ t: "msg", id, type: "echo", data: id });
    assert.equal((await bystander.answer(id)).data, id);
  }
  assert.ok(charged > 0, "the first ones reach the room");
  stranger.terminate();
  bystander.terminate();
}
