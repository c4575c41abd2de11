// Compiled, never run: what the types accept in a program, and what they reject.

import { type MessageArgumentsOf, type MessageTypeOf, type ReplyOf, Chorus, ChorusError, Room, applyPatch } from "../chorus.js";
import type { Declared } from "../../../guests/test/types/declared.js";

interface Board {
  board: (0 | 1 | null)[];
  turn: 0 | 1;
}

export async function play(): Promise<void> {
  const client = new Chorus("/ws", { name: "Ana", storage: null, retry: { maxMs: 1000 } });
  const off: () => void = client.on("room", (room: Room<Board>) => {
    room.onView((view) => view.board.length satisfies number);
    room.onEvent((type, data) => console.log(type.toUpperCase(), data.cell));
    room.on<{ cell: number }>("moved", ({ cell }) => cell satisfies number);
    room.onLeft((reason) => reason satisfies string);
  });
  client.on("disconnected", (lost) => {
    if (lost.willRetry) lost.inMs satisfies number;
    else lost.inMs satisfies null;
  });
  client.connect();
  client.retryNow();
  const game = await client.joinOrCreate<Board>("tic-tac-toe", { level: 3 }, { name: "friday", signal: AbortSignal.timeout(1000) });
  game.view.turn satisfies 0 | 1;
  game.code satisfies string | null;
  (await game.leave()).kind satisfies string;
  await client.create("chat", {}, { private: true });
  await client.join("KQ7F2M");
  const [found] = await client.find("chat", { topic: "cats" });
  found.metadata.topic satisfies string | number | boolean | null;
  const { waiting } = await client.send<{ waiting: number }>("look");
  waiting satisfies number;
  try {
    await client.room?.send("move", { cell: 4 });
  } catch (error) {
    if (error instanceof ChorusError && error.code === "rate_limited") error.retryAfterMs satisfies number | undefined;
  }
  const patched: Board = applyPatch<Board>({}, [{ op: "remove", path: "/turn" }]);
  console.log(patched.turn, off);

  // @ts-expect-error: an object is not compared.
  client.find("chat", { topic: {} });
  // @ts-expect-error: `private` is said of a new room.
  client.join("KQ7F2M", {}, { private: true });
  // @ts-expect-error: there is no such event.
  client.on("rooms", () => {});
  // @ts-expect-error: `move` is not an operation that a room sends.
  applyPatch({}, [{ op: "move", path: "/a", from: "/b" }]);
  // @ts-expect-error: only the server makes rooms.
  new Room();
  // @ts-expect-error: the view is read-only.
  client.room!.view = null;
}

/** A function around `send`, as a page has it. */
export async function sendOrToast<T, Type extends MessageTypeOf<T>>(room: Room<T>, type: Type, ...data: MessageArgumentsOf<T, Type>): Promise<ReplyOf<T, Type> | undefined> {
  try {
    return (await (room as Room).send(type, ...data)) as ReplyOf<T, Type>;
  } catch {
    return undefined;
  }
}

export async function playAround(room: Room<Declared>, open: Room<Board>): Promise<void> {
  (await sendOrToast(room, "place", { cell: 4 }))?.left satisfies number | undefined;
  await sendOrToast(room, "rematch");
  (await sendOrToast(open, "anything", [1])) satisfies unknown;
  // @ts-expect-error: there is no such message.
  await sendOrToast(room, "plce", { cell: 4 });
  // @ts-expect-error: a cell is a number.
  await sendOrToast(room, "place", { cell: "4" });
}

/** By the declaration that the room's script shares. */
export async function playDeclared(client: Chorus): Promise<Room> {
  const room = await client.joinOrCreate<Declared>("game", { size: 9 });
  const { left } = await room.send("place", { cell: 4 });
  left satisfies number;
  (await room.send("rematch")) satisfies null;
  await room.send("chat", { text: "well played" });
  room.on("won", ({ mark, line }) => [mark satisfies "x" | "o", line satisfies number[]]);
  room.on("started", () => {});
  room.onEvent((type, data) => (type === "won" ? data.line : []));
  room.onView(({ board }) => board satisfies ("x" | "o" | null)[]);
  room.view.yours satisfies "x" | "o" | null;
  (await client.create<Declared>("game", { size: 9, title: "friday" }, { private: true })).view.board.length satisfies number;
  await client.join<Declared>("KQ7F2M");

  // @ts-expect-error: there is no such message.
  room.send("plce", { cell: 4 });
  // @ts-expect-error: the message has a cell.
  room.send("place", {});
  // @ts-expect-error: its data is not left out.
  room.send("place");
  // @ts-expect-error: there is no such event.
  room.on("wno", () => {});
  // @ts-expect-error: the event has no such member.
  room.on("won", ({ winner }) => winner);
  // @ts-expect-error: the reply has no such member.
  (await room.send("place", { cell: 4 })).right;
  // @ts-expect-error: the view does not have what the state has.
  room.view.secret;
  // @ts-expect-error: the options are declared.
  client.joinOrCreate<Declared>("game", { sizes: 9 });
  return room;
}
