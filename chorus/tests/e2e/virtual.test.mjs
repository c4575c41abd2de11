/**
 * A virtual room (`packages/chorus-rooms`) decides as a server does: the same random steps are done to both, and all members have the same
 * views, events and answers. Not for a cluster.
 */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { WebSocket } from "ws";

import { Chorus } from "../../../clients/js/chorus.js";
import { Dice } from "../../../packages/chorus-rooms/src/dice.mjs";
import { createRoom, LOBBY } from "../../../packages/chorus-rooms/src/test.mjs";
import { guestsWith } from "../guests.mjs";
import { Server } from "../server.mjs";

const STEPS = 150, SEEDS = [1, 2];
const DEADLINE_MS = 60_000;
const NAMES = ["Ana", "Ben", "Cleo", "Dan"];

/** It notes all that happens to it, by the players' names: ids are other ones on a server. */
const RECORDER = `import { Room } from "chorus";
export default class Recorder extends Room {
  static config = { maxPlayers: 2, reconnectSeconds: 3600 };
  onCreate() { this.state = { log: [], steps: 0 }; }
  onJoinAttempt(player, options) {
    if (options?.refuse) this.refuse("as you wish");
    return player.spectator ? "spectator" : true;
  }
  onJoin(player) { this.#note("join", player); }
  onDrop(player) { this.#note("drop", player); }
  onReconnect(player) { this.#note("reconnect", player); }
  onLeave(player, reason) { this.#note("leave " + reason, player); }
  messages = {
    say: (player, data) => {
      this.#note("say", player);
      this.broadcast("said", { from: player.name, data }, { except: player });
      player.send("heard", data);
      return { steps: this.state.steps };
    },
    keep: (player, data) => { player.data = { kept: data }; },
    no: (player) => { this.#note("no", player); this.broadcast("never"); this.refuse("no"); },
    oops: (player) => { this.#note("oops", player); this.broadcast("never"); null.x; },
    turn: (player) => {
      if (!player.spectator) player.stand();
      else if (this.players.filter((one) => !one.spectator).length < 2) player.sit();
      else this.refuse("no seat is free");
      this.#note("turn", player);
    },
    kick: (player, name) => { this.#note("kick", player); for (const one of this.players) if (one.name === name) one.kick("out"); },
    lock: (player) => { this.#note("lock", player); this.lock(); },
    unlock: (player) => { this.#note("unlock", player); this.unlock(); },
  };
  #note(what, { name, spectator }) {
    this.state.steps += 1;
    this.state.log = [...this.state.log.slice(-5), [what, name, spectator]];
  }
  view(state, player) {
    const members = [...this.players].map(({ name, connected, spectator, data }) => [name, connected, spectator, data]);
    return { ...state, you: [player.name, player.spectator, player.data], members };
  }
}
`;

for (const seed of SEEDS) {
  test(`${STEPS} steps have the same results on a server, seed ${seed}`, { timeout: 5 * DEADLINE_MS }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "chorus-virtual-"));
    let server, served;
    try {
      const guests = await guestsWith(folder, { recorder: RECORDER });
      server = await Server.start({ data: join(folder, "data"), args: ["--guests", guests] });
      served = await Served.create(server.url);
      const virtual = await Virtual.create(pathToFileURL(join(guests, "recorder")));
      const done = [];
      await same(virtual, served, done);
      const dice = new Dice(seed);
      for (let n = 0; n < STEPS; n++) {
        const step = stepOf(dice, virtual);
        done.push(step);
        const [wanted, found] = [await virtual.do(step), await served.do(step)];
        assert.deepEqual(found, wanted, JSON.stringify(done.slice(-5)));
        await same(virtual, served, done);
      }
    } finally {
      served?.close();
      await server?.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/** The first player has created the room, and is never kicked: a room without members would end. */
function stepOf(dice, virtual) {
  const here = virtual.names, away = NAMES.filter((name) => !here.includes(name));
  const who = dice.pick(here), other = dice.pick(here.filter((name) => name !== NAMES[0]));
  return dice.weighted([
    [away.length > 0 ? 4 : 0, { do: "join", who: dice.pick(away), refuse: dice.bool(0.2) }],
    [who === NAMES[0] ? 0 : 1, { do: "leave", who }],
    [2, { do: "drop", who }],
    [3, { do: "send", who, type: "say", data: dice.int(100) }],
    [other === undefined ? 0 : 0.7, { do: "send", who: NAMES[0], type: "kick", data: other }],
    [6, { do: "send", who, type: dice.pick(["keep", "no", "oops", "turn", "lock", "unlock", "unlock", "nope"]), data: dice.int(3) }],
  ].filter(([weight]) => weight > 0));
}

/** Waits until the members of the server's room have the views of the virtual one's; then their events are the same too. */
async function same(virtual, served, done) {
  const until = performance.now() + DEADLINE_MS;
  const wanted = virtual.views;
  while (!isDeepStrictEqual(served.views, wanted)) {
    if (performance.now() > until) assert.deepEqual(served.views, wanted, JSON.stringify(done.slice(-5)));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(served.takeEvents(), virtual.takeEvents(), JSON.stringify(done.slice(-5)));
}

const answer = async (reply) => {
  try {
    return { reply: await reply };
  } catch ({ code, message }) {
    return code === "refused" ? { refused: message } : { code };
  }
};
/** Why a join was refused is the lobby's to say. */
const joined = async (join) => ("reply" in (await answer(join)) ? "joined" : "refused");

class Virtual {
  #room; #players = new Map(); #count = 0;

  static async create(url) {
    const virtual = new Virtual();
    virtual.#room = await createRoom(url, {}, { creator: LOBBY });
    await virtual.do({ do: "join", who: NAMES[0] });
    return virtual;
  }

  get #here() { return [...this.#players].filter(([, player]) => player.isMember); }
  get names() { return this.#here.map(([name]) => name); }
  get views() { return Object.fromEntries(this.#here.map(([name, { view }]) => [name, view])); }
  takeEvents() { return Object.fromEntries(this.#here.map(([name, player]) => [name, player.received()])); }

  async do({ do: what, who, type, data, refuse }) {
    const player = this.#players.get(who);
    if (what === "send") return answer(player.send(type, data));
    if (what === "leave") return void (await player.send("leave"), await player.arrive());
    if (what === "drop") return void (await player.drop(), await player.reconnect());
    // A session that was kicked has ended: the same name comes by another one.
    return joined(this.#room.join({ name: who, id: `g:${++this.#count}`, options: { refuse } }).then((fresh) => { this.#players.set(who, fresh); }));
  }
}

class Served {
  #url; #id; #clients = new Map();

  static async create(url) {
    const served = new Served();
    served.#url = url;
    const client = served.#client(NAMES[0]);
    served.#id = (await client.chorus.create("recorder")).id;
    return served;
  }

  #client(name) {
    const client = { events: [], room: null, socket: null };
    class Socket extends WebSocket {
      constructor(...given) {
        super(...given);
        client.socket = this;
      }
    }
    client.chorus = new Chorus(`${this.#url}/ws`, { name, WebSocket: Socket, storage: null, retry: { baseMs: 5, maxMs: 20 }, stableMs: 1 });
    client.chorus.on("room", (room) => {
      if (room.kind !== "recorder") return;
      client.events = [];
      client.room = room;
      room.onEvent((type, data) => client.events.push({ type, data }));
      room.onLeft(() => { client.room = null; });
    });
    client.chorus.connect();
    this.#clients.get(name)?.chorus.close();
    this.#clients.set(name, client);
    return client;
  }

  get #here() { return [...this.#clients].filter(([, { room }]) => room !== null); }
  get views() { return Object.fromEntries(this.#here.map(([name, { room }]) => [name, room.view])); }
  takeEvents() { return Object.fromEntries(this.#here.map(([name, client]) => [name, client.events.splice(0)])); }

  async do({ do: what, who, type, data, refuse }) {
    const client = this.#clients.get(who);
    if (what === "send") return answer(client.room.send(type, data));
    if (what === "leave") return void (await client.room.leave());
    if (what === "drop") return void client.socket.terminate();
    return joined(this.#client(who).chorus.join(this.#id, { refuse }));
  }

  close() { for (const { chorus } of this.#clients.values()) chorus.close(); }
}
