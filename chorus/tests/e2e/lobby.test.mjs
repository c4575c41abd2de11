// The lobby, end to end: sockets, edges, log, hosts, the script.

import assert from "node:assert/strict";

import { FIRST_WINS, pair, play } from "./player.mjs";
import { stories } from "./stories.mjs";

const story = stories();

story("a player that joins is greeted by name, and sees how many wait", async ({ join }) => {
  const [ana] = await join("Ana");
  assert.deepEqual(ana.events[0].data, { name: "Ana" });
  assert.deepEqual(await ana.find(), { position: 1 });
  const [bo] = await join("Bo");
  assert.deepEqual(bo.events[0].data, { name: "Bo" });
  assert.equal((await bo.send("look")).waiting, 1);
});

story("two players that look for a game are paired, and move there over their open sockets", async ({ join }) => {
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

story("every member receives the length of the queue", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  await ana.find();
  assert.deepEqual(await cid.receives("waiting"), { count: 1 });
  await bo.find();
  assert.deepEqual(await cid.receives("waiting"), { count: 0 });
});

story("a player that asks twice keeps one place, and is not paired with itself", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  assert.deepEqual(await ana.find(), { position: 1 });
  assert.deepEqual(await ana.find(), { position: 1 });
  assert.equal(ana.client.room.kind, "lobby");
  assert.deepEqual(await bo.find(), { position: 2 });
  await Promise.all([ana.in("tic-tac-toe"), bo.in("tic-tac-toe")]);
});

story("a player that cancels is not paired", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  await ana.find();
  assert.deepEqual(await ana.send("cancel"), {});
  assert.deepEqual(await bo.find(), { position: 1 });
  assert.equal((await ana.send("look")).position, null);
});

story("a player that loses its connection while queued loses its place, and may queue again", async ({ join }) => {
  const [ana, bo] = await join("Ana", "Bo");
  await ana.find();
  assert.deepEqual(await bo.receives("waiting"), { count: 1 });
  ana.goOffline();
  assert.deepEqual(await bo.receives("waiting"), { count: 0 });
  assert.deepEqual(await bo.find(), { position: 1 });
  ana.goOnline();
  await ana.resumed(1);
  assert.deepEqual(await ana.find(), { position: 2 });
  await Promise.all([ana.in("tic-tac-toe"), bo.in("tic-tac-toe")]);
});

story("an unknown game is refused, with a list of the games", async ({ join }) => {
  const [ana] = await join("Ana");
  await assert.rejects(ana.send("joinOrCreate", { kind: "chess" }), { code: "refused", message: 'there is no game "chess"; there are: tic-tac-toe' });
});

story("a type without a handler is refused, with a list of the handlers", async ({ join }) => {
  const [ana] = await join("Ana");
  await assert.rejects(ana.send("dance"), ({ code, message }) => code === "unknown_type" && /cancel, create, find, games/.test(message));
});

story("a third player may watch, and not play", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  const [first, second] = await pair(ana, bo);
  const games = await cid.send("games");
  const game = games.find(({ room }) => room === first.client.room.id);
  assert.deepEqual([game.kind, game.players.toSorted()], ["tic-tac-toe", ["Ana", "Bo"]]);
  assert.deepEqual(await cid.send("watch", { room: game.room }), {});
  await cid.in("tic-tac-toe");
  assert.equal(cid.view.you, null);
  await first.move(4);
  assert.deepEqual(await cid.receives("moved"), { seat: first.view.you, cell: 4 });
  await cid.sees("the move", ({ board }) => board[4] === first.view.you);
  await assert.rejects(cid.move(0), { code: "refused", message: "you are watching" });
  await cid.send("leave");
  await cid.in("lobby");
  assert.deepEqual(await second.move(0), {}, "the game goes on");
  await assert.rejects(cid.send("watch", { room: "f".repeat(32) }), { code: "refused", message: "there is no such game" });
});

story("a result is broadcast in the lobby and kept there", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  const [first, second] = await pair(ana, bo);
  await play([first, second], FIRST_WINS);
  const { room, winner } = await cid.receives("result");
  assert.deepEqual([room, winner], [first.client.room.id, first.view.you]);
  assert.equal((await cid.send("look")).results.at(-1).room, room);
});

story("a player that leaves a game is in the lobby again, over the same socket, and may play another", async ({ join }) => {
  const [ana, bo, cid] = await join("Ana", "Bo", "Cid");
  await pair(ana, bo);
  const { you } = bo.view;
  assert.deepEqual(await ana.send("leave"), {});
  await ana.in("lobby");
  assert.deepEqual(await bo.receives("ended"), { winner: you, line: null, reason: "left" });
  assert.equal(ana.connections, 1);
  await pair(cid, ana);
});
