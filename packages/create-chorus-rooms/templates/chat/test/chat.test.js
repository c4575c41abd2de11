import assert from "node:assert/strict";
import { test } from "node:test";

import { createRoom, play } from "chorus-rooms/test";

/** @import { Plan, TestRoom } from "chorus-rooms/test" */
/** @import { Chat } from "../shared/chat.ts" */

/** @returns {Promise<TestRoom<Chat>>} */
const chat = () => createRoom("chat");

test("who comes later reads what was written", async () => {
  const room = await chat();
  const ana = await room.join("Ana");
  await ana.send("say", { text: " hello " });
  await ana.leave();
  await room.restore();
  const ben = await room.join("Ben");
  assert.deepEqual(ben.view.lines.map(({ name, text }) => [name, text]), [["Ana", "hello"]]);
  assert.deepEqual(ben.view.people.map(({ name }) => name), ["Ben"]);
});

test("two people of one name are told apart", async () => {
  const room = await chat();
  const one = await room.join({ name: "Ana", id: "g:1" }), other = await room.join({ name: "Ana", id: "g:2" });
  await one.send("say", { text: "me" });
  const { number } = await one.send("me");
  assert.equal(other.view.lines[0].from, number);
  assert.notEqual((await other.send("me")).number, number);
});

test("who writes too fast waits, and empty lines are refused", async () => {
  const room = await chat();
  const ana = await room.join("Ana");
  for (const text of ["1", "2", "3", "4", "5"]) await ana.send("say", { text });
  await assert.rejects(ana.send("say", { text: "6" }), { code: "refused", message: "not so fast: wait a moment" });
  await room.advance(5_000);
  await ana.send("say", { text: "6" });
  for (const data of [null, { text: "  " }, { text: 7 }, { text: "x".repeat(301) }]) await assert.rejects(ana.send("say", /** @type {any} */ (data)), { code: "refused" });
});

test("others see who types and whose connection is lost", async () => {
  const room = await chat();
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("typing");
  assert.deepEqual([ana.received(), ben.received()], [[], [{ type: "typing", data: { name: "Ana" } }]]);
  await ana.drop();
  assert.deepEqual(ben.view.people.map(({ connected }) => connected), [false, true]);
});

/** @param {{ session: string, name: string, connected: boolean }} person */
const present = ({ session, name, connected }) => ({ session, name, connected });

/** @type {Plan<Chat>} */
const plan = {
  messages: { say: (random) => ({ text: random.pick(["hello", "how are you?", "x".repeat(300)]) }), typing: null, me: null },
  invariants: {
    "at most fifty lines are kept, and none is lost before": ({ state }, before) =>
      state.lines.length <= 50 && (before === undefined || state.lines.length >= before.state.lines.length || state.lines.length === 0),
    "the people are the members, each with a number": ({ state, members }) => {
      assert.deepEqual(state.people.map(present), members.map(present));
      assert.equal(new Set(state.people.map(({ number }) => number)).size, members.length);
    },
  },
};
play("chat", plan);
