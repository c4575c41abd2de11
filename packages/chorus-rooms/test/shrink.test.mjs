// What is left of a failing run is what its failure needs: no second player where one is enough, and no step that only changes the random
// numbers of the room.

import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";

import { playKind } from "chorus-rooms/test";
import { project, roomOf } from "./project.mjs";

const SEEDS = [1, 2, 3, 4, 5];

for (const [name, body, message, expected] of [
  ["the random numbers that it needs are looked for",
    'state = { unlucky: false }; messages = { roll: () => { this.state.unlucky = this.random.int(4) === 0; } }; onDrop() { if (this.state.unlucky) throw new Error("lost"); }',
    "roll", ["join", "send", "drop"]],
  ["one player does what two have done",
    'state = { lines: 0 }; messages = { say: () => { this.state.lines++; } }; onDrop() { if (this.state.lines > 1) throw new Error("lost"); }',
    "say", ["join", "send", "send", "drop"]],
  ["times are added up",
    'state = {}; onCreate() { this.state.until = this.now() + 700_000; } messages = { look: () => { if (this.now() > this.state.until) throw new Error("lost"); } };',
    "look", ["join", "advance", "send"]],
  ["a seat that is lost by time is not left otherwise",
    'state = { away: [] }; messages = { look: () => {} }; onDrop({ session }) { this.state.away.push(session); } onReconnect({ session }) { this.state.away = this.state.away.filter((one) => one !== session); } onLeave({ session }) { if (this.state.away.includes(session)) throw new Error("lost"); }',
    "look", ["join", "drop", "advance"]],
]) {
  test(name, async () => {
    const where = pathToFileURL(join(project({ "rooms/short/index.js": roomOf(body) }), "rooms/short"));
    for (const seed of SEEDS) {
      const { failure } = await playKind(where, { messages: { [message]: null }, repetitions: 0 }, { runs: 300, seed });
      assert.match(failure.message, /threw Error: lost/);
      assert.deepEqual(failure.steps.map((step) => step.do), expected, failure.story);
      assert.equal(new Set(failure.steps.map(({ who }) => who).filter(Boolean)).size, 1, failure.story);
    }
  });
}
