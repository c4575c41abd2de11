import assert from "node:assert/strict";
import { test } from "node:test";

import { createRoom, play } from "chorus-rooms/test";

import { QUESTIONS } from "../rooms/quiz/questions.js";

/** @import { Plan, TestPlayer, TestRoom } from "chorus-rooms/test" */
/** @import { Quiz } from "../shared/quiz.ts" */

/** @returns {Promise<TestRoom<Quiz>>} */
const quiz = () => createRoom("quiz");

/** The right option of the present question. @param {TestPlayer<Quiz>} player */
const rightFor = ({ view }) => QUESTIONS.find(({ text }) => text === view.question?.text)?.right ?? -1;

test("a right answer counts more the sooner it is given, and a wrong one counts nothing", async () => {
  const room = await quiz();
  const ana = await room.join("Ana"), ben = await room.join("Ben"), eva = await room.join("Eva");
  await ana.send("start");
  const right = rightFor(ana);
  await ana.send("answer", { round: 1, option: right });
  await assert.rejects(ana.send("answer", { round: 1, option: right }), { code: "refused", message: "you have answered" });
  await room.advance(2_000);
  await ben.send("answer", { round: 1, option: right });
  await eva.send("answer", { round: 1, option: (right + 1) % 4 });
  assert.deepEqual([ana.view.right, ana.view.players.map(({ gained }) => gained)], [null, [null, null, null, null]], "nothing is shown yet");
  while (ana.view.phase === "asking") await room.advance(1_000);        // until the bot has answered
  assert.equal(ana.view.right, right);
  const [, first, second, third] = ana.view.players.map(({ points }) => points);
  assert.ok(first > second && second > 100 && third === 0, `${first} ${second} ${third}`);
});

test("a game has five questions, also if nobody answers, and may begin anew", async () => {
  const room = await quiz();
  const ana = await room.join("Ana");
  await ana.send("start");
  await assert.rejects(ana.send("start"), { message: "the game goes on" });
  await room.advance(5 * (15_000 + 4_000));
  assert.deepEqual([ana.view.phase, ana.view.round], ["over", 5]);
  assert.deepEqual(room.timers, {});
  await ana.send("start");
  assert.deepEqual([ana.view.round, ana.view.players[1].points], [1, 0]);
});

test("nobody waits for a lost connection, a crash changes nothing, and no timer goes on in an empty room", async () => {
  const room = await quiz();
  const ana = await room.join("Ana"), ben = await room.join("Ben");
  await ana.send("start");
  await ana.send("answer", { round: 1, option: 0 });
  await ben.drop();
  await room.restore();
  await room.advance(10_000);
  assert.notEqual(`${ana.view.phase} ${ana.view.round}`, "asking 1");
  await ben.reconnect();
  assert.equal(ben.view.round, ana.view.round);
  await ana.leave();
  await ben.leave();
  assert.deepEqual(room.timers, {});
});

/** @param {{ session: string, name: string, connected: boolean }} player */
const present = ({ session, name, connected }) => ({ session, name, connected });

/** @type {Plan<Quiz>} */
const plan = {
  messages: { start: null, answer: (random, { room }) => ({ round: room.state.round, option: random.int(4) }) },
  invariants: {
    "the entrants are the bot and the members": ({ state, members }) =>
      assert.deepEqual(state.entrants.slice(1).map(present), members.map(present)),
    "a phase ends by itself, and no timer of another one is left": ({ state, timers }) => {
      assert.equal("show" in timers, state.phase === "asking");
      assert.equal("next" in timers, state.phase === "shown");
      assert.ok(state.phase === "asking" || !("bot" in timers), `the bot answers in the phase ${state.phase}`);
    },
    "the right option is hidden while it is asked for": ({ state, members }) =>
      state.phase !== "asking" || members.every(({ view }) => view.right === null && view.players.every(({ gained }) => gained === null)),
    "points are won when an answer is shown, once, and kept until the next game": ({ state, state: { phase, round } }, before) => {
      const isNew = phase === "waiting" || (phase === "asking" && round === 1), isShown = phase === "shown" && before?.state.phase === "asking";
      for (const { session, points, gained } of state.entrants) {
        const had = before?.state.entrants.find((one) => one.session === session)?.points ?? 0;
        assert.equal(points, isNew ? 0 : had + (isShown ? gained ?? 0 : 0));
      }
    },
  },
};
play("quiz", plan);
