/** `story(name, body)` within a file's one system. After a story every player leaves, and must have seen no gap. */

import { after, before } from "node:test";

import { Story, storyTest } from "../story.mjs";
import { startSystem } from "./system.mjs";

const STORY_MS = 120_000;

export function stories() {
  let system;
  before(async () => {
    system = await startSystem();
  });
  after(() => system?.stop());
  return (name, body) => storyTest(name, STORY_MS, () => new SystemStory(system), body);
}

class SystemStory extends Story {
  #next = 0;

  constructor(system) {
    super();
    this.system = system;
  }

  /** The next edge's address: players connect to the edges in turn. */
  get url() {
    const { urls } = this.system;
    return urls[this.#next++ % urls.length];
  }

  join = async (...names) => {
    const joined = [];
    for (const name of names) joined.push(await this.playerAt(name, this.url));
    return joined;
  };

  raw = (options) => this.rawAt(this.url, options);
}
