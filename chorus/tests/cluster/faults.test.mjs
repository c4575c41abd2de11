// A cluster loses machines while games are played: one story for each promise in §13 of the design.

import assert from "node:assert/strict";

import { FIRST_WINS, pair, play } from "../e2e/player.mjs";
import { ends, stories } from "./stories.mjs";

const story = stories();

story("players on different edges meet in the lobby and play", async ({ two }) => {
  const players = await two();
  assert.notEqual(players[0].url, players[1].url);
  const [first, second] = await pair(...players);
  await play([first, second], FIRST_WINS);
  for (const player of [first, second]) {
    assert.deepEqual(await player.receives("ended"), { winner: first.view.you, line: [0, 1, 2], reason: "line" });
    assert.equal(player.connections, 1);
  }
});

story("a host is killed: its rooms continue on another, and no socket closes", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  const sent = players[0].move(1);
  await (await cluster.hostOf(players[0].client.room.id)).kill9();
  assert.deepEqual(await sent, {});
  await ends(players, 3);
});

story("a host is paused for longer than the lease and continued: it ends, and nothing was applied twice", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  const host = await cluster.hostOf(players[0].client.room.id);
  const { id } = host;
  host.pause();
  assert.deepEqual(await players[1].move(3), {}, "its rooms go on without it");
  host.unpause();
  await cluster.until("for the one who was paused to be another", () => host.id === id && `${id} is still there`);
  assert.match(host.output, new RegExp(`${id} was declared dead`));
  await players[0].sees("the move", ({ board }) => board[3] !== null);
  await ends(players, 2);
});

story("the host of the lobby is killed, and players who look for a game find one", async ({ cluster, two, join }) => {
  const players = await two();
  assert.deepEqual(await players[0].find(), { position: 1 });
  await (await cluster.hostOf(players[0].client.room.id)).kill9();
  await players[1].find();
  for (const player of players) await player.in("tic-tac-toe");
  const third = await join("Cid", 0);
  assert.ok((await third.send("games")).some(({ room }) => room === players[0].client.room.id));
});

story("an edge is killed: its players resume on another, with every frame that they had not received", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  const [lost, other] = [players[0], players[1]];
  const sent = other.move(3);
  await cluster.edges.find(({ url }) => url === lost.url).kill9();
  assert.deepEqual(await sent, {});
  await lost.resumed(1);
  assert.equal(lost.url, other.url, "there is only this one");
  await lost.sees("the move", ({ board }) => board[3] !== null);
  assert.equal(other.connections, 1);
  await play(players, FIRST_WINS.slice(2));
  for (const player of players) await player.sees("the end", ({ winner }) => winner === players[0].view.you);
});

story("an edge is stopped: its players are sent away, and reconnect to another", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  const edge = cluster.edges.find(({ url }) => url === players[0].url);
  assert.deepEqual(await cluster.retire([edge]), [0], edge.output);
  const { details } = await players[0].until("to be disconnected", () => players[0].frames.find(({ what }) => what === "disconnected"));
  assert.deepEqual([details.code, details.willRetry], [4001, true]);
  await players[0].resumed(1);
  await play([players[1], players[0]], FIRST_WINS.slice(1));
  await cluster.run(edge);
});

story("the active monitor is killed: games are not affected, and the standby takes over", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0]);
  const { active } = (await cluster.get("/v1/status")).monitor;
  const monitor = cluster.monitors.find(({ id }) => id === active);
  await cluster.kill([monitor]);
  await play([players[1], players[0]], [3, 1]);
  await cluster.until("for the standby to take charge", async () => {
    const now = (await cluster.get("/v1/status")).monitor;
    return (!now.in_charge || now.active === active) && JSON.stringify(now);
  });
  // The standby assigns a dead host's partitions.
  const sent = players[1].move(4);
  await (await cluster.hostOf(players[0].client.room.id)).kill9();
  assert.deepEqual(await sent, {});
  await cluster.run(monitor);
  await ends(players, 4);
});

story("without any monitor, players join, are paired and play", async ({ cluster, two }) => {
  await cluster.kill(cluster.monitors);
  const players = await pair(...(await two()));
  await play(players, FIRST_WINS);
  for (const player of players) await player.sees("the end", ({ winner }) => winner === players[0].view.you);
  await Promise.all(cluster.monitors.map((monitor) => cluster.run(monitor)));
});

story("a host is stopped: it hands its rooms over, and leaves in order", async ({ cluster, two }) => {
  const players = await pair(...(await two()));
  await play(players, [0, 3]);
  const host = await cluster.hostOf(players[0].client.room.id);
  const leaving = cluster.retire([host]);
  await play(players, [1]);
  assert.deepEqual(await leaving, [0], host.output);
  await cluster.run(host);
  await ends(players, 3);
});

story("a session is resumed through another edge, and its connection to the first is closed with a reason", async ({ raw }) => {
  const first = await raw(0);
  const { resume, session, room } = await first.arrive();
  const second = await raw(1);
  const welcome = await second.hello({ resume, last: { [room]: 1 } });
  assert.deepEqual([welcome.recovered, welcome.session], [true, session]);
  assert.equal((await first.closed()).code, 4504);
  second.send({ t: "msg", id: 1, type: "games" });
  assert.equal((await second.frame("reply")).id, 1);
});
