// What the room, the page and the tests have in common. The types of what is sent, stored and seen are imported as types, so that a wrong name is
// an error in each (`npm run types`).

export interface Chat {
  /** What a client may send: the data, and the reply. */
  messages: { me(): { number: number }; say(data: { text: string }): void; typing(): void };
  /** What the room sends. */
  events: { typing: { name: string } };
  state: State;
  view: View;
  /** When the member has written its latest lines. */
  playerData: { wrote: number[] };
}

export const MAX_CHARACTERS = 300;

export interface Line {
  id: number;
  /** The writer's number; another person of the same name has another one. */
  from: number;
  name: string;
  text: string;
  /** Milliseconds since 1970. */
  at: number;
}

export interface Person { session: string; number: number; name: string; connected: boolean }

/** What the room stores. Members receive the view in its place. */
export interface State { lines: Line[]; lastId: number; people: Person[]; lastNumber: number }

/** What a member sees: the same for all, so that one patch serves all of them. */
export interface View {
  lines: Line[];
  people: { number: number; name: string; connected: boolean }[];
}
