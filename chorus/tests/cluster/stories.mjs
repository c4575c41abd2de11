/**
 * `story(name, body)` within a file's one cluster. Before each story the cluster is ready; after it every player leaves, and
 * must have seen no gap.
 */

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { FIRST_WINS, play } from "../e2e/player.mjs";
import { Story, storyTest } from "../story.mjs";
import { Cluster } from "./cluster.mjs";

const STORY_MS = 180_000;

export function stories(options = {}) {
  let cluster;
  before(async () => {
    cluster = await Cluster.start(typeof options === "function" ? await options() : options);
  }, { timeout: STORY_MS });
  after(() => cluster?.stop());

  const begin = async () => {
    await cluster.ready();
    return new ClusterStory(cluster);
  };
  return (name, body) => storyTest(name, STORY_MS, begin, body);
}

class ClusterStory extends Story {
  constructor(cluster) {
    super();
    this.cluster = cluster;
  }

  /** A player that connects to this edge, and to the next one when the connection is lost. */
  join = (name, edge) => {
    const { urls } = this.cluster;
    return this.playerAt(name, [...urls.slice(edge), ...urls.slice(0, edge)]);
  };

  /** Two players, at different edges. */
  two = async () => [await this.join("Ana", 0), await this.join("Bo", 1)];

  raw = (edge) => this.rawAt(this.cluster.urls[edge]);

  explained(error) {
    error.message += `\n${this.cluster.lastOutput()}`;
    return error;
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
