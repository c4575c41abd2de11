// What the room and the page have in common.

/** What a member sees. */
export interface View {
  count: number;
  players: { name: string; connected: boolean; you: boolean; presses: number }[];
}
