// Random client frames to a lobby, a game and a room that returns, broadcasts and stores its messages' data, while bystanders
// play there. No frame of a client is ever charged to the room as a fault, and every bystander gets every answer.
//
// The seed is printed. `CHORUS_FUZZ_SEED` repeats the same frames, and `CHORUS_FUZZ_SECONDS` sets how long.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { random } from "../torture/random.mjs";
import { colliding, Frames } from "./frames.mjs";
import { DRAW, WAIT_MS, pair, play, Player } from "./player.mjs";
import { Raw } from "./raw.mjs";

const SEED = process.env.CHORUS_FUZZ_SEED ?? String(Date.now() % 1_000_000);
const SECONDS = Number(process.env.CHORUS_FUZZ_SECONDS ?? 15);
const ATTACKERS = 6;
/** How many frames an attacker sends before it waits for a pong. */
const AT_ONCE = 16;
/** How many of an attacker's last frames, and how many characters of each, a failure shows. */
const SHOWN_FRAMES = 12;
const SHOWN_CHARACTERS = 160;

const REPEAT = `CHORUS_FUZZ_SEED=${SEED} CHORUS_FUZZ_SECONDS=${SECONDS} node --test chorus/tests/e2e/fuzz.test.mjs`;

// Attackers are disconnected again and again, and all of them have one address.
process.env.CHORUS_NEW_SESSIONS ??= "1000000";

/** A server, and its counters of faults. */
class World {
  static async start(...args) {
    const world = new World();
    world.server = await Server.start({ args: ["--rate", "200", ...args] });
    world.token = (await readFile(join(world.server.data, "token"), "utf8")).trim();
    return world;
  }

  get url() {
    return this.server.url;
  }

  /** The number of faults so far that were charged to rooms, or to clients. */
  async faults(charged) {
    const response = await fetch(`${this.url}/metrics`, { headers: { authorization: `Bearer ${this.token}` } });
    const page = await response.text();
    assert.match(page, /^chorus_host_records_total \d+$/m, "the host's counters are served");
    const lines = page.split("\n").filter((line) => line.startsWith("chorus_host_faults_total{") && line.includes(`charged="${charged}"`));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  stop() {
    return this.server.stop();
  }
}

/** A client that sends random frames, and reconnects when it is disconnected. */
class Attacker {
  sent = [];
  frames = 0;
  #rooms = new Set();

  constructor(world, name, enter) {
    Object.assign(this, { world, enter, dice: random(SEED, name) });
    this.source = new Frames(this.dice, () => [...this.#rooms].slice(-3));
  }

  async run(isOver) {
    let resume = null;
    while (!isOver()) {
      const raw = await Raw.connect(this.world.url).catch(() => null);
      // The connection was refused, for instance for too many new sessions. Other attackers continue.
      if (!raw) { await pause(); continue; }
      try {
        raw.send(resume === null ? { t: "hello", name: "Mallory" } : this.source.hello(resume));
        const welcome = await raw.frame("welcome");
        ({ resume } = welcome);
        if (!welcome.recovered) {
          const { room } = await raw.frame("room");
          this.#rooms.add(room);
          await this.enter?.(raw);
        }
        await this.attack(raw, isOver);
      } catch {
        // The connection was closed, or an expected frame did not arrive: neither is a failure of the test.
        if (raw.isClosed) resume = this.dice.happens(0.5) ? resume : null;
      } finally {
        raw.terminate();
      }
    }
  }

  async attack(raw, isOver) {
    while (!isOver()) {
      for (let n = 0; n < AT_ONCE; n++) {
        const frame = this.source.next();
        this.#record(frame);
        raw.socket.send(frame, { binary: typeof frame !== "string" });
        this.frames += 1;
      }
      // Waits for the pong, so that the attacker does not just fill its own queue.
      raw.socket.ping();
      await raw.pong();
      for (const { t, room } of raw.take()) if (t === "room") this.#rooms.add(room);
    }
  }

  #record(frame) {
    this.sent.push(typeof frame === "string" ? frame : `binary ${frame.toString("hex")}`);
    if (this.sent.length > SHOWN_FRAMES) this.sent.shift();
  }

  /** The attacker's last frames, for the message of a failure. */
  toString() {
    return this.sent.map((text) => `    ${text.length} characters: ${JSON.stringify(text.slice(0, SHOWN_CHARACTERS))}`).join("\n");
  }
}

/** The pause between rounds: honest clients do not send as fast as they can. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

/** Attacks while `play` runs in rounds. Resolves when the time is up, and fails as soon as a fault is charged to a room. */
async function siege(world, attackers, play) {
  const until = performance.now() + SECONDS * 1000;
  let failed = null;
  const isOver = () => failed !== null || performance.now() > until;
  const watchFaults = async () => {
    while (!isOver()) {
      const faults = await world.faults("room");
      if (faults > 0) throw new Error(`${faults} faults were charged to a room`);
      await pause();
    }
  };
  const rounds = async () => { while (!isOver()) await play(); };
  const all = [watchFaults(), rounds(), ...attackers.map((attacker) => attacker.run(isOver))];
  await Promise.all(all.map((one) => one.catch((error) => (failed ??= error))));
  const frames = attackers.reduce((sum, attacker) => sum + attacker.frames, 0);
  console.log(`seed ${SEED}: ${frames} frames in ${SECONDS} s; ${await world.faults("client")} faults charged to clients`);
  if (failed) throw new Error(`${failed.message}\nagain: ${REPEAT}\nthe attackers' last frames:\n${attackers.join("\n    –\n")}`, { cause: failed });
  assert.equal(await world.faults("room"), 0, `again: ${REPEAT}`);
  assert.ok(frames > 100 * SECONDS, `only ${frames} frames were sent: what stands in the way?`);
  assert.doesNotMatch(world.server.output, /panicked/);
}

let world;
before(async () => {
  world = await World.start();
  world.keeper = await World.start("--fixtures", "--lobby", "bench-lobby");
});
after(() => Promise.all([world?.stop(), world?.keeper?.stop()]));

const LIMIT = { timeout: SECONDS * 1000 + 6 * WAIT_MS };

test("names collide as they should for QuickJS's hash", () => {
  const hash = (name) => [...name].reduce((h, c) => (Math.imul(h, 263) + c.charCodeAt(0)) | 0, 1);
  const names = new Set(Array.from({ length: 5_000 }, (_, n) => colliding(n)));
  assert.equal(names.size, 5_000);
  assert.equal(new Set([...names].map(hash)).size, 1);
});

test("a lobby and a game: no frame is a fault of the room, and players nearby get every answer", LIMIT, async () => {
  const [ana, bo, cleo] = await Promise.all(["Ana", "Bo", "Cleo"].map((name) => Player.join(name, world.url)));
  const players = await pair(ana, bo);
  const attackers = Array.from({ length: ATTACKERS }, (_, n) => new Attacker(world, `lobby ${n}`));
  let [first, second] = players;
  await siege(world, attackers, async () => {
    assert.ok((await cleo.send("look")).games.length > 0, "the game of Ana and Bo is on");
    await play([first, second], DRAW);
    await first.send("rematch");
    await second.send("rematch");
    [first, second] = [second, first];
    for (const one of [first, second]) await one.sees("a new game", ({ board, turn, you }) => board.every((cell) => cell === null) && (one === first ? turn === you : turn !== you));
  });
  for (const player of [ana, bo, cleo]) {
    assert.equal(player.connections, 1, `${player.name} was never cut off`);
    player.assertGapFree();
    player.client.close();
  }
});

test("a room that returns, broadcasts and stores data: no frame is a fault of it, and its other members get every answer", LIMIT, async () => {
  const { keeper } = world;
  const party = (size) => ({ kind: "keeper", key: "fuzz", size });
  const raws = await Promise.all(Array.from({ length: ATTACKERS + 1 }, () => Raw.connect(keeper.url)));
  for (const raw of raws) {
    await raw.arrive();
    raw.send({ t: "msg", id: 1, type: "enter", data: party(raws.length) });
  }
  const rooms = await Promise.all(raws.map((raw) => raw.frame("room", ({ kind }) => kind === "keeper")));
  assert.equal(new Set(rooms.map(({ room }) => room)).size, 1, "all are in one room");
  const [bystander, ...others] = raws;
  let id = 1;
  const attackers = others.map((raw, n) => new Member(keeper, `keeper ${n}`, raw));
  await siege(keeper, attackers, async () => {
    id += 1;
    bystander.send({ t: "msg", id, type: "echo", data: { id } });
    const answer = await bystander.answer(id);
    assert.deepEqual([answer.t, answer.data], ["reply", { id }], JSON.stringify(answer));
    await pause();
  });
  bystander.terminate();
});

/** An attacker whose first connection is already in the room. */
class Member extends Attacker {
  constructor(world, name, raw) {
    super(world, name);
    this.first = raw;
  }

  async run(isOver) {
    await this.attack(this.first, isOver).catch(() => {});
    this.first.terminate();
    // After its first connection has ended, it continues in rooms of its own.
    this.enter = async (raw) => {
      raw.send({ t: "msg", id: 1, type: "enter", data: { kind: "keeper", key: "own" } });
      await raw.frame("room", ({ kind }) => kind === "keeper");
    };
    await super.run(isOver);
  }
}

test("a trap is charged to the room: the count that was 0 above can rise", LIMIT, async () => {
  const { keeper } = world;
  const raw = await Raw.connect(keeper.url);
  await raw.arrive();
  raw.send({ t: "msg", id: 1, type: "enter", data: { kind: "recurse-forever", key: "trap" } });
  await raw.frame("room", ({ kind }) => kind === "recurse-forever");
  raw.send({ t: "msg", id: 2, type: "recurse" });
  assert.equal((await raw.answer(2)).code, "fault");
  assert.ok((await keeper.faults("room")) > 0);
  raw.terminate();
});
