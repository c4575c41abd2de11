import assert from "node:assert/strict";
import { test } from "node:test";

import { createRoom, play } from "chorus-rooms/test";

/** @import { Plan, TestPlayer, TestRoom } from "chorus-rooms/test" */
/** @import { Cards } from "../shared/cards.ts" */

/** @param {string[]} names */
async function dealt(...names) {
  /** @type {TestRoom<Cards>} */
  const room = await createRoom("cards");
  /** @type {TestPlayer<Cards>[]} */
  const players = [];
  for (const name of names) players.push(await room.join(name));
  await players[0].send("deal");
  const onTurn = () => players.find(({ session }) => session === room.state.turn) ?? players[0];
  return { room, players, onTurn };
}

test("each sees its own hand, and of the others the number of cards", async () => {
  const { room, players: [ana, ben] } = await dealt("Ana", "Ben");
  assert.deepEqual([ana.view.hand.length, ben.view.hand.length, ana.view.deck], [6, 6, 23]);
  assert.deepEqual(ana.view.players.map(({ cards }) => cards), [6, 6]);
  const text = JSON.stringify(ana.view);
  assert.ok(!text.includes("deck\":["), text);
  assert.deepEqual(ana.view.hand.filter((card) => ben.view.hand.includes(card)), []);
  await room.restore();
  assert.equal(JSON.stringify(ana.view), text);
});

test("a card that does not fit is refused, and who cannot play draws", async () => {
  const { players, onTurn } = await dealt("Ana", "Ben");
  const first = onTurn(), other = players.find((player) => player !== first) ?? first;
  await assert.rejects(other.send("draw"), { code: "refused", message: "it is not your turn" });
  const wrong = first.view.hand.find((card) => !first.view.playable.includes(card));
  if (wrong !== undefined) await assert.rejects(first.send("play", { card: wrong }), { message: "neither the colour nor the number fits" });
  await assert.rejects(first.send("play", { card: other.view.hand[0] }), { message: "you do not have that card" });
  await first.send("draw");
  assert.deepEqual([first.view.hand.length, onTurn()], [7, other]);
});

test("a game is played to its end, and dealt again", async () => {
  const { room, players, onTurn } = await dealt("Ana", "Ben", "Eva");
  for (let turns = 0; room.state.phase === "playing"; turns++) {
    assert.ok(turns < 500, "the game ends");
    const { view: { playable } } = onTurn();
    await (playable.length > 0 ? onTurn().send("play", { card: playable[0] }) : onTurn().send("draw"));
  }
  assert.equal(players.filter(({ view }) => view.winner?.you).length, 1);
  assert.deepEqual(room.timers, {});
  await players[1].send("deal");
  assert.deepEqual(players.map(({ view }) => view.hand.length), [6, 6, 6]);
});

test("who does not play draws by the clock, and when all leave but one, that one has won", async () => {
  const { room, players: [ana, ben] } = await dealt("Ana", "Ben");
  await room.advance(30_000);
  assert.equal(ana.view.hand.length + ben.view.hand.length, 13);
  await ana.drop();
  assert.equal(ben.view.players[0].connected, false);
  await room.advance(60_000);                // the seat was held for so long
  assert.deepEqual([ben.view.phase, ben.view.winner], ["over", { name: "Ben", you: true }]);
  assert.deepEqual(room.timers, {});
});

/** @param {{ session: string, name: string, connected: boolean }} player */
const present = ({ session, name, connected }) => ({ session, name, connected });

/** @type {Plan<Cards>} */
const plan = {
  messages: {
    deal: null,
    play: (random, { player }) => ({ card: random.pick(player.view.playable.length > 0 ? player.view.playable : [random.int(36)]) }),
    draw: null,
  },
  invariants: {
    "each card is in one place": ({ state }) => {
      if (state.phase !== "playing") return;
      const all = [...state.deck, ...state.pile, ...state.seats.flatMap(({ hand }) => hand ?? [])];
      assert.deepEqual(all.sort((a, b) => a - b), Array.from({ length: 36 }, (_, card) => card));
    },
    "a turn is that of a player with cards, and ends by itself": ({ state, timers }) => {
      assert.equal("turn" in timers, state.phase === "playing");
      if (state.phase === "playing") assert.ok(state.seats.some(({ session, hand }) => session === state.turn && hand !== null && hand.length > 0));
    },
    "who sits at the table are the members": ({ state, members }) => assert.deepEqual(state.seats.map(present), members.map(present)),
    "a view has its own hand, and no other cards": ({ state, members }) => {
      for (const { session, view } of members) {
        const own = state.seats.find((seat) => seat.session === session)?.hand ?? [];
        assert.deepEqual(view.hand, [...own].sort((a, b) => a - b));
        assert.ok(view.players.every((player) => !("hand" in player)) && typeof view.deck === "number");
      }
    },
  },
};
play("cards", plan);
