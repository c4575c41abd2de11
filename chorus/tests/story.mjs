/**
 * The stories of `e2e/` and `cluster/`: a story gets a `Story`, whose players leave at its end, and must have received every
 * frame once and in order.
 */

import { test } from "node:test";

import { Player } from "./e2e/player.mjs";
import { Raw } from "./e2e/raw.mjs";

/** The means of a story. Stories destructure it, so its functions are bound. */
export class Story {
  players = [];
  #raws = [];

  /** A player that connects to this address, or to these in turn, and is in the lobby. */
  async playerAt(name, urls) {
    const player = new Player(name, urls);
    this.players.push(player);
    return player.arrive();
  }

  /** A connection without the client. */
  async rawAt(url, options) {
    const raw = await Raw.connect(url, options);
    this.#raws.push(raw);
    return raw;
  }

  async leave() {
    for (const player of this.players) await player.leave();
    this.cutOff();
  }

  /** The error of this story, with what helps to find its cause. */
  explained(error) {
    return error;
  }

  cutOff() {
    for (const raw of this.#raws) raw.terminate();
    for (const player of this.players) player.client.close();
  }
}

/** A test that runs `body` with the story that `begin` makes. After `timeout` its connections are closed. */
export function storyTest(name, timeout, begin, body) {
  test(name, { timeout }, async ({ signal }) => {
    const story = await begin();
    signal.addEventListener("abort", () => story.cutOff());
    try {
      await body(story);
      story.players.forEach((player) => player.assertGapFree());
    } catch (error) {
      throw story.explained(error);
    } finally {
      await story.leave();
    }
  });
}
