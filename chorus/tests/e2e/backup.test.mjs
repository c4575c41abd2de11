// `chorus backup` while games are played, and a server on what `chorus restore` makes of it. Not for a cluster.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { Player } from "./player.mjs";

/** The deadline of every wait. */
const WAIT_MS = 60_000;
/** How many games are played during the backup. */
const GAMES = 4;

test("a backup taken while games are played restores to a server on which every game goes on", { timeout: 300_000 }, async () => {
  const aside = await mkdtemp(join(tmpdir(), "chorus-backup-"));
  const [backup, restored] = [join(aside, "backup"), join(aside, "restored")];
  const server = await Server.start({ port: await freePort() });
  const next = new Server({ data: restored, port: server.port });
  const games = [];
  let still;
  let goesOn = true;
  try {
    still = await Game.begin(server.url, "still");
    await still.moves([0, 3]);
    for (let n = 0; n < GAMES; n++) games.push(await Game.begin(server.url, `game-${n}`));
    const played = games.map((game) => game.play(() => goesOn));
    await eventually("load", () => games.every(({ made }) => made >= 10));

    const before = games.map(({ made }) => made);
    const done = JSON.parse(await chorus("backup", backup, "--data", server.data, "--json"));
    assert.deepEqual([done.dir, done.files >= 3, done.bytes > 0], [backup, true, true]);
    assert.match(await chorus("status", "--data", server.data), /one process with all in it/);
    await eventually("more moves after the backup", () => games.every(({ made }, n) => made >= before[n] + 10));
    // It is complete, and for its owner alone.
    assert.deepEqual((await readdir(backup)).sort(), ["log", "manifest.json", "store.sqlite"]);
    assert.equal((await stat(backup)).mode & 0o777, 0o700);
    // Nothing is written over what is there.
    await assert.rejects(chorus("backup", backup, "--data", server.data), /is not empty/);

    await server.kill9();
    await assert.rejects(chorus("status", "--data", server.data), /no server runs on/);
    await assert.rejects(chorus("restore", backup, "--data", server.data), /is not empty/);
    assert.match(await chorus("restore", backup, "--data", restored), /is restored/);
    const lost = games.map(({ made }) => made);
    await next.start();

    // What was acknowledged before the backup began is there.
    await eventually("the game that was still", () => still.players.every(({ view }) => view?.board?.[0] != null && view.board[3] != null));
    await still.moves([1, 4, 2]);
    await eventually("its end", () => still.players.every(({ view }) => view.winner !== null));
    await eventually("every game to go on", () => games.every(({ made }, n) => made >= lost[n] + 10), () => games.map(String).join("\n"));
    goesOn = false;
    await Promise.all(played);
    for (const { players } of games) assert.equal(players[0].client.room.id, players[1].client.room.id);
    // It stops in good order, and starts again as any other.
    assert.equal(await next.interrupt(), 0);
    assert.ok(!(await readdir(restored)).includes("server"), "the address is removed");
    await next.start();
  } finally {
    goesOn = false;
    for (const game of [still, ...games]) game?.players.forEach(({ client }) => client.close());
    if (next.running) await next.interrupt();
    await server.stop();
    await rm(aside, { recursive: true, force: true });
  }
});

/** A game of tic-tac-toe, and its rematches. */
class Game {
  /** Acknowledged moves. */
  made = 0;

  constructor(players) {
    this.players = players;
  }

  static async begin(url, name) {
    const players = [new Player(`${name}-a`, url), new Player(`${name}-b`, url)];
    for (const player of players) await player.arrive();
    // A turn that nobody forfeits while the server is away.
    await players[0].client.create("tic-tac-toe", { turnSeconds: 3600 });
    await players[1].client.join(players[0].client.room.id);
    const game = new Game(players);
    await eventually(`the beginning of ${name}`, () => players.every(({ view }) => view?.board && view.deadline !== null));
    return game;
  }

  get #mover() {
    return this.players.find(({ view }) => view?.board && view.winner === null && view.turn === view.you);
  }

  async moves(cells) {
    for (const cell of cells) {
      await eventually("a turn", () => this.#mover);
      assert.deepEqual(await this.#mover.move(cell), {});
      await eventually("the move", () => this.players.every(({ view }) => view.board[cell] !== null));
    }
  }

  /** Plays games one after the other, also over a server that is gone for a while. */
  async play(goesOn) {
    while (goesOn()) {
      const mover = this.#mover;
      const over = this.players.filter(({ view }) => view?.board && view.winner !== null);
      if (mover) {
        const cell = mover.view.board.indexOf(null);
        this.made += await mover.client.send("move", { cell }).then(() => 1, () => 0);
      }
      for (const player of over) await player.client.send("rematch").catch(() => {});
      await pause();
    }
  }

  toString() {
    return this.players.map(({ name, client, view }) => `${name}: ${client.state} ${client.room?.kind} ${JSON.stringify(view)}`).join("; ");
  }
}

/** The pace of the load. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

async function eventually(what, condition, explain = () => "") {
  for (const deadline = Date.now() + WAIT_MS; !condition(); await pause()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what} ${explain()}`);
  }
}

/** Resolves with the output. Without an address and a token: the command finds the server by its data directory. */
async function chorus(...args) {
  const { CHORUS_TOKEN, CHORUS_TOKEN_FILE, CHORUS_MONITOR, ...env } = process.env;
  return (await promisify(execFile)(process.env.CHORUS_BIN, args, { env })).stdout;
}
