// A declaration, as a room and its clients share it. The tests of the client's types, and of the test harness's, read it too.

export type Mark = "x" | "o";

export interface Declared {
  messages: {
    place(data: { cell: number }): { left: number };
    rematch(): void;
    chat: { text: string };
  };
  events: { won: { mark: Mark; line: number[] }; started: void };
  state: { board: (Mark | null)[]; turn: Mark; secret: number };
  view: { board: (Mark | null)[]; yours: Mark | null };
  options: { size: number; title?: string };
  playerData: { mark: Mark };
  timers: { turn: { mark: Mark }; close: void };
}
