// A chat: the last lines are its state, so who comes later reads them too. That somebody types has no later use, and is an event.

import { Room, type Player } from "chorus";

import { MAX_CHARACTERS, type Line, type View } from "../../shared/chat.ts";

interface Person { session: string; number: number; name: string; connected: boolean }
interface State { lines: Line[]; lastId: number; people: Person[]; lastNumber: number }
/** When the member has written its latest lines. */
interface Data { wrote: number[] }

const KEPT_LINES = 50;
/** Of one member: at most so many lines in so many milliseconds. */
const BURST = 5, BURST_MS = 5_000;
/** Numbers of lines and of people begin again here; those in use are far fewer. */
const NUMBERS = 10_000;

export default class Chat extends Room<State, Data> {
  static config = { maxPlayers: 50, reconnectSeconds: 30, keepWhenEmpty: true };   // the history outlives its readers

  onCreate() {
    this.state = { lines: [], lastId: 0, people: [], lastNumber: 0 };
  }

  onJoin(player: Player<Data>) {
    const { session, name } = player, { people } = this.state;
    player.data = { wrote: [] };
    do this.state.lastNumber = (this.state.lastNumber + 1) % NUMBERS;
    while (people.some(({ number }) => number === this.state.lastNumber));
    people.push({ session, number: this.state.lastNumber, name, connected: true });
  }

  onDrop(player: Player<Data>) {
    this.#person(player).connected = false;
  }

  onReconnect(player: Player<Data>) {
    this.#person(player).connected = true;
  }

  onLeave({ session }: Player<Data>) {
    this.state.people = this.state.people.filter((person) => person.session !== session);
  }

  // An operator removes a player for good: also what it has written.
  onErase() {
    this.state.lines = [];
  }

  messages = {
    /** Who the client is among the people. */
    me: (player: Player<Data>) => ({ number: this.#person(player).number }),

    say: (player: Player<Data>, data: any) => {
      const text = typeof data?.text === "string" ? data.text.trim() : "";
      if (text === "" || text.length > MAX_CHARACTERS) this.refuse(`a line has 1 to ${MAX_CHARACTERS} characters`);
      const recent = player.data.wrote.filter((at) => at > this.now() - BURST_MS);
      if (recent.length >= BURST) this.refuse("not so fast: wait a moment");
      player.data.wrote = [...recent, this.now()];
      const { lines } = this.state, { number: from, name } = this.#person(player);
      this.state.lastId = (this.state.lastId + 1) % NUMBERS;
      lines.push({ id: this.state.lastId, from, name, text, at: this.now() });
      if (lines.length > KEPT_LINES) lines.shift();
    },

    typing: (player: Player<Data>) => this.broadcast("typing", { name: player.name }, { except: player }),
  };

  // One parameter: the view is the same for all.
  view({ lines, people }: State): View {
    return { lines, people: people.map(({ number, name, connected }) => ({ number, name, connected })) };
  }

  #person({ session }: Player<Data>): Person {
    return this.state.people.find((person) => person.session === session)!;
  }
}
