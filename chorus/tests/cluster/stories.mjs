/**
 * `story(name, tell)` within a file's one cluster. Before each story the cluster is ready; after it every player leaves, and
 * must have seen no gap.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { FIRST_WINS, Player, play } from "../e2e/people.mjs";
import { Raw } from "../e2e/raw.mjs";
import { Cluster } from "./cluster.mjs";

const STORY_MS = 180_000;

export function stories(options = {}) {
  let cluster;
  before(async () => {
    cluster = await Cluster.start(typeof options === "function" ? await options() : options);
  }, { timeout: STORY_MS });
  after(() => cluster?.stop());

  return function story(name, tell) {
    test(name, { timeout: STORY_MS }, async (context) => {
      await cluster.ready();
      const here = new Here(cluster);
      context.signal.addEventListener("abort", () => here.cutOff());
      try {
        await tell(here);
        here.players.forEach((player) => player.assertGapFree());
      } catch (error) {
        error.message += `\n${cluster.lastWords()}`;
        throw error;
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

  constructor(cluster) {
    this.cluster = cluster;
  }

  /** A player that connects to this edge, and to the next one when the connection is lost. */
  come = async (name, edge) => {
    const { urls } = this.cluster;
    const player = new Player(name, [...urls.slice(edge), ...urls.slice(0, edge)]);
    this.players.push(player);
    return player.arrive();
  };

  /** Two players, at different edges. */
  two = async () => [await this.come("Ana", 0), await this.come("Bo", 1)];

  raw = async (edge) => {
    const raw = await Raw.connect(this.cluster.urls[edge]);
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

/** Plays the rest of the game, which the first player wins, and checks that both still have their first connection. */
export async function ends(players, played) {
  for (const player of players) await player.sees("what was played", ({ board }) => FIRST_WINS.slice(0, played).every((cell) => board[cell] !== null));
  const order = played % 2 === 0 ? players : [players[1], players[0]];
  await play(order, FIRST_WINS.slice(played));
  for (const player of players) {
    await player.sees("the end", ({ winner }) => winner === players[0].view.you);
    assert.equal(player.connections, 1, `${player.name}'s socket stayed open`);
  }
}
