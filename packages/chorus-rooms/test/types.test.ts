// The types of the harness: what an author writes has types, and a mistake is an error.

import { createRoom, play, playKind, type TestPlayer } from "chorus-rooms/test";

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
