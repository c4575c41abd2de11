// Compiled, never run: what the hooks' types accept, and what they reject.

import { createElement } from "react";

import { Chorus, type ChorusError } from "../chorus.js";
import { ChorusProvider, useClient, useConnection, useEvent, useNow, useRoom, useView } from "../react.js";
import type { Declared } from "../../../guests/test/types/declared.js";

export function Game(): string {
  const { room, view, status, error, send, rejoin } = useRoom<Declared>("game", { size: 9 }, { by: "create", private: true, leave: false });
  view?.yours satisfies "x" | "o" | null | undefined;
  status satisfies "idle" | "joining" | "joined" | "left" | "failed";
  error satisfies ChorusError | null;
  send("place", { cell: 4 }).then(({ left }) => left satisfies number);
  useEvent(room, "won", ({ line }) => line satisfies number[]);
  useEvent(room, "started", rejoin);
  useView(room, ({ board }) => board.length) satisfies number | undefined;
  useView(room)?.board satisfies ("x" | "o" | null)[] | undefined;
  useClient() satisfies Chorus;
  (useNow(250) + useNow()) satisfies number;

  // @ts-expect-error: the message has a cell.
  send("place", {});
  // @ts-expect-error: there is no such event.
  useEvent(room, "wno", () => {});
  // @ts-expect-error: the view does not have what the state has.
  useView(room, ({ secret }) => secret);
  // @ts-expect-error: the options are declared.
  useRoom<Declared>("game", { sizes: 9 });
  // @ts-expect-error: there is no such way in.
  useRoom("game", {}, { by: "steal" });
  return useConnection();
}

export function Open(): void {
  const { room, view, send } = useRoom<{ turn: number }>(null);
  view?.turn satisfies number | undefined;
  send<number>("any", { data: 1 }).then((reply) => reply satisfies number);
  useEvent(room, "any", (data) => data.anything);
  useView(room, ({ turn }) => turn) satisfies number | undefined;
}

export const page = createElement(ChorusProvider, { url: "/ws", options: { name: "Ana" } }, createElement(Game));
export const given = createElement(ChorusProvider, { client: new Chorus("/ws") });
// @ts-expect-error: a client that is given has its address.
export const both = createElement(ChorusProvider, { client: new Chorus("/ws"), url: "/ws" });
