/** `story(name, tell)` within a file's one system. After a story every player leaves, and must have seen no gap. */

import { after, before, test } from "node:test";

import { Player } from "./people.mjs";
import { Raw } from "./raw.mjs";
import { startSystem } from "./system.mjs";

const STORY_MS = 120_000;

export function stories() {
  let system;
  const all = [];
  before(async () => {
    system = await startSystem();
  });
  after(async () => {
    // Stories that timed out may still be running.
    for (const here of all) here.cutOff();
    await system?.stop();
  });

  return function story(name, tell) {
    test(name, { timeout: STORY_MS }, async () => {
      const here = new Here(system);
      all.push(here);
      try {
        await tell(here);
        here.players.forEach((player) => player.assertGapFree());
      } finally {
        await here.leave();
      }
    });
  };
}

/** The means of a story. Stories destructure it, so its functions are bound. */
class Here {
  players = [];
  #raws = [];
  #next = 0;

  constructor(system) {
    this.system = system;
  }

  /** The next edge's address: players connect to the edges in turn. */
  get url() {
    const { urls } = this.system;
    return urls[this.#next++ % urls.length];
  }

  join = async (...names) => {
    for (const name of names) {
      const player = new Player(name, this.url);
      this.players.push(player);
      await player.arrive();
    }
    return this.players.slice(-names.length);
  };

  /** A connection without the client. */
  raw = async (options) => {
    const raw = await Raw.connect(this.url, options);
    this.#raws.push(raw);
    return raw;
  };

  async leave() {
    for (const player of this.players) await player.leave();
    this.cutOff();
  }

  cutOff() {
    for (const raw of this.#raws) raw.terminate();
    for (const player of this.players) player.client.close();
  }
}
