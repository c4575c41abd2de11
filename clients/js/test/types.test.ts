// Compiled, never run: what the types accept in a program, and what they reject.

import { Chorus, ChorusError, Room, applyPatch } from "../chorus.js";

interface Board {
  board: (0 | 1 | null)[];
  turn: 0 | 1;
}

export async function play(): Promise<void> {
  const client = new Chorus("/ws", { name: "Ana", storage: null, retry: { maxMs: 1000 } });
  const off: () => void = client.on("room", (room: Room<Board>) => {
    room.on("view", (view) => view.board.length satisfies number);
    room.on("event", (type, data) => console.log(type.toUpperCase(), data.cell));
  });
  client.on("disconnected", (lost) => {
    if (lost.willRetry) lost.inMs satisfies number;
    else lost.inMs satisfies null;
  });
  client.connect();
  client.retryNow();
  const { position } = await client.send<{ position: number }>("find", { kind: "tic-tac-toe" });
  position satisfies number;
  try {
    await client.room?.send("move", { cell: 4 });
  } catch (error) {
    if (error instanceof ChorusError && error.code === "rate_limited") error.retryAfterMs satisfies number | undefined;
  }
  const patched: Board = applyPatch<Board>({}, [{ op: "remove", path: "/turn" }]);
  console.log(patched.turn, off);

  // @ts-expect-error: there is no such event.
  client.on("rooms", () => {});
  // @ts-expect-error: `move` is not an operation that a room sends.
  applyPatch({}, [{ op: "move", path: "/a", from: "/b" }]);
  // @ts-expect-error: only the server makes rooms.
  new Room();
  // @ts-expect-error: the view is read-only.
  client.room!.view = null;
}
