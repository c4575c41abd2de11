// How the rooms of these tests are played, and what must be true of them. An author's test file would have this in its `play`.

import assert from "node:assert/strict";

const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);

export const PLAYS = {
  duel: {
    messages: { take: (random) => ({ count: random.between(1, 3) }), again: null },
    invariants: {
      "no coin is made or lost": ({ state }) => assert.equal(sum(Object.values(state.purses)) + state.pot, state.issued),
      "who is on turn is in the room": ({ state, members }) => {
        if (state.turn !== null) assert.ok(members.some(({ session }) => session === state.seats[state.turn].session));
      },
      "the clock runs in a game alone": ({ state, timers }) => assert.equal("turn" in timers, state.turn !== null),
    },
  },
  quiz: {
    messages: { answer: (random, { room }) => ({ sum: random.bool() ? room.state.a + room.state.b : random.int(100) }), hint: null },
    invariants: {
      "every player has points": ({ state, members }) => assert.deepEqual(Object.keys(state.points).sort(), [...new Set(members.map(({ id }) => id))].sort()),
      "a question is closed in time": ({ state, timers }) => assert.ok(state.phase !== "asking" || "close" in timers),
    },
  },
  chat: {
    messages: { say: (random) => ({ text: random.pick(["hello", "how are you?", " "]) }), clear: null },
    invariants: { "a line is short": ({ state }) => state.lines.every(({ text }) => text.length <= 200) },
  },
  cards: {
    players: 5,
    messages: { show: null },
    invariants: {
      "three play at most": ({ state }) => assert.ok(state.seats.length <= 3),
      "nobody sees another's cards before they are shown": ({ state, members }) => {
        for (const { id, view } of members) if (!state.shown) assert.deepEqual(Object.keys(view.hands).filter((other) => other !== id), []);
      },
      "who plays has a seat": ({ state, members }) => assert.deepEqual(members.filter(({ spectator }) => !spectator).map(({ id }) => id).sort(), [...state.seats].sort()),
    },
  },
};

const KINDS = ["tic-tac-toe", "tic-tac-toe", "lobby", "chess"];

/** The same for the guests of this repository. */
export const GUESTS = {
  "tic-tac-toe": {
    create: (random) => (random.bool() ? {} : { seats: random.shuffle(["Ana", "Ben"]) }),
    messages: { move: (random) => ({ cell: random.int(9) }), rematch: null, leave: null },
    invariants: {
      "a turn has its clock": ({ state, timers, ended }) => ended || assert.equal("turn" in timers, state.deadline !== null),
      "a session has one seat": ({ state }) => {
        const taken = state.seats.map(({ session }) => session).filter(Boolean);
        assert.equal(new Set(taken).size, taken.length);
      },
    },
  },
  lobby: {
    players: 6,
    messages: {
      joinOrCreate: (random) => ({ kind: random.pick(KINDS), options: random.pick([{}, { mode: 1 }]), ...(random.bool(0.2) ? { name: random.pick(["a", "b"]) } : {}) }),
      create: (random) => ({ kind: random.pick(KINDS), options: {}, private: random.bool(), ...(random.bool(0.3) ? { name: random.pick(["a", "b"]) } : {}) }),
      join: (random) => ({ room: random.pick(["a", "b", "KQ7F2M"]), options: {} }),
      find: (random) => ({ kind: random.pick(KINDS), where: {} }),
      cancel: null, look: null, games: null,
    },
    receive: (random) => random.pick([{ lobby: { freed: 1 } }, { lobby: { freed: -1 } }, { lobby: { locked: true } }, { lobby: { locked: false, players: 1 } }, { lobby: null }, { result: { winner: 0, players: [{ name: "a" }] } }, null]),
    invariants: {
      "who waits is connected": ({ state, members }) => {
        const here = new Set(members.filter(({ connected }) => connected).map(({ session }) => session));
        assert.ok(Object.values(state.queue).flat().every((session) => here.has(session)));
      },
      "who waits is counted": ({ state }) => assert.equal(Object.values(state.queue).flat().length, state.waiting),
    },
  },
};
