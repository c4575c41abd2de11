import assert from "node:assert/strict";
import { test } from "node:test";

import { createRoom, play } from "chorus-rooms/test";

/** @import { Plan, TestRoom } from "chorus-rooms/test" */
/** @import { Counter } from "../shared/counter.ts" */

/** @returns {Promise<TestRoom<Counter>>} */
const counter = () => createRoom("counter");

test("everybody counts, and sees who has", async () => {
  const room = await counter();
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("press", { by: 1 });
  await ben.send("press", { by: 1 });
  assert.equal(ana.view.count, 2);
  await assert.rejects(ana.send("press", /** @type {any} */ ({ by: 7 })), { code: "refused", message: "by is 1 or -1" });
  assert.deepEqual(ben.view.players.map(({ name, you }) => [name, you]), [["Ana", false], ["Ben", true]]);
});

test("a lost connection is shown, and a crash changes nothing", async () => {
  const room = await counter();
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("press", { by: 1 });
  await ana.drop();
  assert.equal(ben.view.players[0].connected, false);
  await room.restore();
  await ana.reconnect();
  assert.deepEqual([ana.view.count, ana.view.players[0].connected], [1, true]);
  await ben.leave();
  assert.equal(ana.view.players.length, 1);
});

/** @param {{ session: string, name: string, connected: boolean }} person */
const present = ({ session, name, connected }) => ({ session, name, connected });

// `npm test -- --runs 1000` looks for a way to break what is stated here.
/** @type {Plan<Counter>} */
const plan = {
  messages: { press: (random) => ({ by: random.pick([1, -1]) }) },
  invariants: {
    "the people are the members": ({ state, members }) => assert.deepEqual(state.people.map(present), members.map(present)),
    "the count stays within its bounds": ({ state }) => assert.ok(Number.isInteger(state.count) && Math.abs(state.count) <= 999, `it is ${state.count}`),
  },
};
play("counter", plan);
