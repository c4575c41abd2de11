/** `chorus bots` on a real server. Not for a cluster. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Server } from "../server.mjs";

const CHORUS = fileURLToPath(new URL("../../../packages/chorus-rooms/bin/chorus.mjs", import.meta.url));
const DEADLINE_MS = 300_000;

/** Each plays one game to its end. */
const PLAYERS = `export default async function bot({ client, random }) {
  const game = await client.joinOrCreate("tic-tac-toe");
  const play = (view) => {
    if (view.winner !== null || view.turn !== view.you) return;
    game.send("move", { cell: random.pick(view.board.flatMap((cell, at) => (cell === null ? [at] : []))) }).catch(() => {});
  };
  await new Promise((resolve) => {
    game.onView((view) => (view.winner === null ? play(view) : resolve()));
    if (game.view.winner !== null) resolve();
    play(game.view);
  });
}
`;
const FAILING = 'export default async function bot({ room, index }) { await room.send("look"); if (index === 1) throw new Error("no fun"); }\n';

test("bots play on a server, their waits are measured, and a bot that fails is an exit code", { timeout: DEADLINE_MS }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "chorus-bots-"));
  let server;
  try {
    server = await Server.start({ data: join(folder, "data") });
    const url = `${server.url.replace("http", "ws")}/ws`;
    await writeFile(join(folder, "players.mjs"), PLAYERS);
    await writeFile(join(folder, "failing.mjs"), FAILING);
    const played = await bots(join(folder, "players.mjs"), "-n", "20", "--url", url);
    const report = JSON.parse(played.output);
    assert.deepEqual([played.code, report.ok, report.done, report.failures, report.joins.count, report.entered.count], [0, true, 20, {}, 20, 20], played.output);
    assert.ok(report.replies.count >= 20 + 10 * 5, "each game has five moves at least");
    assert.ok(report.replies.p50Ms > 0 && report.replies.p50Ms <= report.replies.p99Ms && report.replies.p99Ms <= report.replies.mostMs);
    const failed = await bots(join(folder, "failing.mjs"), "-n", "3", "--url", url);
    assert.deepEqual([failed.code, JSON.parse(failed.output).failures], [1, { "no fun": 1 }]);
  } finally {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

function bots(...args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [CHORUS, "bots", "--json", "--seconds", "120", ...args]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => { output += text; });
    child.on("close", (code) => resolve({ code, output }));
  });
}
