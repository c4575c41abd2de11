// What the room, the page and the tests have in common: imported as types, so that a wrong name is an error in each (`npm run types`).

/** What is sent, stored and seen. */
export interface Counter {
  /** What a client may send: the data, and the reply. */
  messages: { press(data: { by: 1 | -1 }): void };
  state: State;
  view: View;
}

/** What the room stores. Members receive the view in its place. */
export interface State {
  count: number;
  people: { session: string; name: string; connected: boolean; presses: number }[];
}

/** What a member sees. */
export interface View {
  count: number;
  players: { name: string; connected: boolean; you: boolean; presses: number }[];
}
