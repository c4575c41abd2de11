// The lobby, end to end: sockets, edges, log, hosts, the script.

import assert from "node:assert/strict";

import { FIRST_WINS, pair, play } from "./people.mjs";
import { stories } from "./stories.mjs";

const story = stories();

story("who comes in is greeted by name, and told how many wait", async ({ join }) => {
  const [ana] = await join("Ana");
  assert.deepEqual(ana.events[0].data, { name: "Ana", waiting: 0 });
  assert.deepEqual(await ana.find(), { position: 1 });
  const [bo] = await join("Bo");
  assert.deepEqual(bo.events[0].data, { name: "Bo", waiting: 1 });
});

story("two who look for a game find each other, and go there over the sockets that they have", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  await pair(ana, bo);
  assert.equal(ana.client.room.id, bo.client.room.id);
  assert.deepEqual(new Set([ana.view.you, bo.view.you]), new Set([0, 1]));
  assert.deepEqual(ana.view.seats.map(({ name }) => name).sort(), ["Ana", "Bo"]);
  for (const player of [ana, bo]) {
    assert.equal(player.connections, 1);
    await player.until("to have left the lobby", () => player.frames.some(({ t, reason }) => t === "left" && reason === "moved"));
  }
});

story("how many wait is told to everybody", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  await ana.find();
  assert.deepEqual(await cid.hears("waiting"), { count: 1 });
  await bo.find();
  assert.deepEqual(await cid.hears("waiting"), { count: 0 });
});

story("who asks twice keeps one place, and is not paired with themselves", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  assert.deepEqual(await ana.find(), { position: 1 });
  assert.deepEqual(await ana.find(), { position: 1 });
  assert.equal(ana.client.room.kind, "lobby");
  assert.deepEqual(await bo.find(), { position: 2 });
  await Promise.all([ana.in("tic-tac-toe"), bo.in("tic-tac-toe")]);
});

story("who cancels is not paired", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  await ana.find();
  assert.deepEqual(await ana.send("cancel"), {});
  assert.deepEqual(await bo.find(), { position: 1 });
  assert.equal((await ana.send("look")).position, null);
});

story("who loses the connection while queued loses the place, and may take another", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  await ana.find();
  assert.deepEqual(await bo.hears("waiting"), { count: 1 });
  ana.goAway();
  assert.deepEqual(await bo.hears("waiting"), { count: 0 });
  assert.deepEqual(await bo.find(), { position: 1 });
  ana.comeBack();
  await ana.resumed(1);
  assert.deepEqual(await ana.find(), { position: 2 });
  await Promise.all([ana.in("tic-tac-toe"), bo.in("tic-tac-toe")]);
});

story("a game that nobody knows is refused, with those that there are", async ({ join }) => {
  const [ana] = await join("Ana");
  await assert.rejects(ana.send("find", { kind: "chess" }), { code: "refused", message: 'there is no game "chess"; there are: tic-tac-toe' });
});

story("what the lobby has no handler for is refused, with what it has", async ({ join }) => {
  const [ana] = await join("Ana");
  await assert.rejects(ana.send("dance"), ({ code, message }) => code === "unknown_type" && /cancel, find, games/.test(message));
});

story("a third may watch, and only that", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  const [first, second] = await pair(ana, bo);
  const games = await cid.send("games");
  const game = games.find(({ room }) => room === first.client.room.id);
  assert.deepEqual([game.kind, game.players.toSorted()], ["tic-tac-toe", ["Ana", "Bo"]]);
  assert.deepEqual(await cid.send("watch", { room: game.room }), {});
  await cid.in("tic-tac-toe");
  assert.equal(cid.view.you, null);
  await first.move(4);
  assert.deepEqual(await cid.hears("moved"), { seat: first.view.you, cell: 4 });
  await cid.sees("the move", ({ board }) => board[4] === first.view.you);
  await assert.rejects(cid.move(0), { code: "refused", message: "you are watching" });
  await cid.send("leave");
  await cid.in("lobby");
  assert.deepEqual(await second.move(0), {}, "the game goes on");
  await assert.rejects(cid.send("watch", { room: "f".repeat(32) }), { code: "refused", message: "there is no such game" });
});

story("a result is told in the lobby and kept there", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  const [first, second] = await pair(ana, bo);
  await play([first, second], FIRST_WINS);
  const { room, winner } = await cid.hears("result");
  assert.deepEqual([room, winner], [first.client.room.id, first.view.you]);
  assert.equal((await cid.send("look")).results.at(-1).room, room);
});

story("who leaves a game is in the lobby again, over the same socket, and may play another", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  await pair(ana, bo);
  const { you } = bo.view;
  assert.deepEqual(await ana.send("leave"), {});
  await ana.in("lobby");
  assert.deepEqual(await bo.hears("ended"), { winner: you, line: null, reason: "left" });
  assert.equal(ana.connections, 1);
  await pair(cid, ana);
});
