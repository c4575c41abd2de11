/** The button that kills the server in mid-game: the process replaces itself at once, and everything acknowledged is there. Not for a cluster. */

import assert from "node:assert/strict";
import { readFile, readdir, readlink } from "node:fs/promises";
import { request } from "node:http";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { Player, WAIT_MS, pair } from "./player.mjs";

let server;

before(async () => {
  // It finds its free port again.
  server = await Server.start({ watch: true });
}, { timeout: 180_000 });
after(() => server?.stop());

test("a game in which the server is killed four times, once with a move on its way", { timeout: 120_000 }, async () => {
  const players = await pair(await Player.join("Ana", server.url), await Player.join("Ben", server.url));
  const cells = [0, 3, 1, 4, 8];
  for (const [n, cell] of cells.entries()) {
    const mover = players[n % 2];
    const killed = n < 4 ? kill() : null;
    // Every second move is on its way while the server is killed.
    if (killed && n % 2 === 0) await killed.then(() => resumed(players, n + 1));
    await mover.move(cell).catch((error) => assert.equal(error.code, "applied"));
    if (killed && n % 2 === 1) await killed.then(() => resumed(players, n + 1));
    for (const player of players) await player.sees(`a mark on ${cell}`, ({ board }) => board[cell] !== null);
  }
  for (const player of players) {
    assert.deepEqual(player.events.filter(({ type }) => type === "moved").map(({ data }) => data.cell), cells, "each move once, in order");
    assert.equal(player.view.board.filter((owner) => owner !== null).length, cells.length);
    player.assertGapFree();
    await player.leave();
  }
  assert.equal((await life()).kills, 4);
});

test("no file, socket or lock of the process outlives it", { skip: process.platform !== "linux" }, async () => {
  const CLOSE_ON_EXEC = 0o2000000;
  const { pid } = await life();
  const folder = `/proc/${pid}/fdinfo`;
  const kept = [];
  for (const fd of (await readdir(folder)).filter((fd) => Number(fd) > 2)) {
    const info = await readFile(`${folder}/${fd}`, "utf8").catch(() => null); // It was closed meanwhile.
    const [, flags] = info?.match(/^flags:\s*(\d+)$/m) ?? [];
    if (flags === undefined || (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) !== 0) continue;
    const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => null);
    // This process has it under the same number: it was handed down by a shell, and is nothing that the server has opened.
    if (link !== (await readlink(`/proc/self/fd/${fd}`).catch(() => undefined))) kept.push(`${fd}: ${link}`);
  }
  assert.deepEqual(kept, []);
});

test("no other page, no proxy's client and no program ends it by the button's request", async () => {
  const before = await life();
  const { port } = new URL(server.url);
  const own = { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` };
  for (const [headers, status] of [
    [{ ...own, origin: "https://evil.example" }, 403],
    [{ ...own, origin: `http://localhost:${port}` }, 403],
    [{ ...own, origin: "null" }, 403],
    [{ host: own.host }, 403],
    [{ ...own, "x-forwarded-for": "192.0.2.1" }, 405],
    [{ host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` }, 403],
  ]) {
    assert.equal(await post("/dev/kill", headers), status, JSON.stringify(headers));
  }
  assert.equal((await fetch(`${server.url}/dev/kill`)).status, 404, "it takes a POST");
  assert.deepEqual(await life(), before);
});

const life = async () => (await fetch(`${server.url}/dev/process`)).json();

/** Sends the button's request. Resolves when the next life answers. */
async function kill() {
  const { started } = await life();
  await assert.rejects(fetch(`${server.url}/dev/kill`, { method: "POST", headers: { origin: server.url } }));
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const now = await life().catch(() => null);
    if (now !== null && now.started !== started) return;
    assert.ok(Date.now() < deadline, `it has not come back\n${server.output}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const resumed = (players, times) => Promise.all(players.map((player) => player.resumed(times)));

/** Resolves with the status. */
function post(path, headers) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const sent = request({ hostname, port, path, method: "POST", headers }, (response) => (response.resume(), resolve(response.statusCode)));
    sent.on("error", reject);
    sent.end();
  });
}
