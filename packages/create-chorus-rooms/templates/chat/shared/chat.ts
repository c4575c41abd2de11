// What the room and the page have in common.

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

/** What a member sees: the same for all, so that one patch serves all of them. */
export interface View {
  lines: Line[];
  people: { number: number; name: string; connected: boolean }[];
}
