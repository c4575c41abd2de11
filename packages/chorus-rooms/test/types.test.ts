// The types of the harness: what an author writes has types, and a mistake is an error.

import { createRoom, play, playKind, type Plan, type TestPlayer, type TestRoom } from "chorus-rooms/test";

interface State { count: number }

export async function story(): Promise<void> {
  const room = await createRoom<State, { n: number }>("counter", { start: 1 }, { seed: 3, replay: false });
  const ana: TestPlayer<{ n: number }> = await room.join("Ana");
  await room.join({ name: "Ben", id: "u:7", claims: { level: 1 }, options: { seat: 0 } });
  const count: number = room.state.count, seen: number = ana.view.n;
  await ana.send<number>("add", { by: count + seen });
  await room.advance(1_000);
  await room.repeat(10, () => ana.send("add"));
  await room.swap(new URL("file:///counter.js"));
  // @ts-expect-error a player has a name
  await room.join({ nam: "Ben" });
  // @ts-expect-error time is a number
  await room.advance("1 s");
  // @ts-expect-error a room is made by createRoom
  new (room.constructor as typeof import("chorus-rooms/test").TestRoom)();
}

play<State>("counter", {
  create: (random) => ({ start: random.int(3) }),
  messages: { add: (random, { room, player }) => (room.state.count > 9 ? undefined : { by: random.between(1, 9), from: player.name }), clear: null },
  invariants: { "it rises": ({ state }, before) => state.count >= (before?.state.count ?? 0) },
  // @ts-expect-error a number of players
  players: "many",
});

export const played: Promise<number> = playKind("counter", {}, { runs: 3 }).then(({ failure }) => failure?.steps.length ?? 0);

// ---- of one declaration ----

interface Duel {
  messages: { strike(data: { at: number }): { hit: boolean }; rest(): void; taunt: { text: string } };
  events: { struck: { at: number; by: string }; over: void };
  state: { hidden: number };
  view: { lives: number };
  options: { width: number };
  playerData: { taunts: number };
  timers: { end: { loser: string } };
}

export async function duel(): Promise<void> {
  const room = await createRoom<Duel>("duel", { width: 9 });
  const ana: TestPlayer<Duel> = await room.join({ name: "Ana", options: { width: 9 } });
  const { hit } = await ana.send("strike", { at: room.state.hidden });
  const none: null = await ana.send("rest");
  await ana.send("taunt", { text: `${hit} ${none} ${ana.view.lives} ${ana.data.taunts} ${room.timers.end?.payload.loser}` });
  for (const event of ana.received()) if (event.type === "struck") console.log(event.data.by);
  for (const { view } of room.members) console.log(view.lives);
  // What only a dishonest client sends.
  await ana.send("strike", { at: "there" } as any);
  // @ts-expect-error the options are declared
  await createRoom<Duel>("duel", { height: 9 });
  // @ts-expect-error a message that is not declared
  await ana.send("hit", { at: 1 });
  // @ts-expect-error its data is declared
  await ana.send("strike", { at: "there" });
  // @ts-expect-error it has data
  await ana.send("strike");
  // @ts-expect-error this one has none
  await ana.send("rest", { at: 1 });
  // @ts-expect-error the reply is declared
  (await ana.send("strike", { at: 1 })).missed;
  // @ts-expect-error the view is declared
  ana.view.hidden;
  // @ts-expect-error the state is declared
  room.state.lives;
  // @ts-expect-error an event that is not declared
  ana.received().filter(({ type }) => type === "hit");
  // @ts-expect-error a timer that is not declared
  room.timers.begin;
}

/** As a test in JavaScript has it: the type comes from the variable. */
export const inferred: () => Promise<TestRoom<Duel>> = () => createRoom("duel", { width: 3 });

const plan: Plan<Duel> = {
  create: (random) => ({ width: random.between(1, 9) }),
  messages: { strike: (random, { room, player }) => (player.view.lives > 0 ? { at: random.int(room.state.hidden + 1) } : undefined), rest: null, taunt: { text: "ha" } },
  invariants: { "it is hidden": ({ state, members, timers }) => state.hidden >= 0 && members.every(({ data }) => data.taunts < 9) && timers.end?.payload.loser !== "" },
};
play("duel", plan);

// @ts-expect-error the options are declared
play<Duel>("duel", { create: { height: 1 } });
// @ts-expect-error the data is declared
play<Duel>("duel", { messages: { strike: (random) => ({ at: String(random.int(9)) }) } });
// @ts-expect-error a message that is not declared
play<Duel>("duel", { messages: { hit: null } });
// @ts-expect-error the state is declared
play<Duel>("duel", { invariants: { "it is seen": ({ state }) => state.seen } });
