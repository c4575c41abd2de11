// A chat: the last lines are its state, so who comes later reads them too. That somebody types has no later use, and is an event.

import { Room, type Messages, type Player } from "chorus";

import { MAX_CHARACTERS, type Chat, type Person, type State, type View } from "../../shared/chat.ts";

const KEPT_LINES = 50;
/** Of one member: at most so many lines in so many milliseconds. */
const BURST = 5, BURST_MS = 5_000;
/** Numbers of lines and of people begin again here; those in use are far fewer. */
const NUMBERS = 10_000;

export default class ChatRoom extends Room<Chat> {
  static config = { maxPlayers: 50, reconnectSeconds: 30, keepWhenEmpty: true };   // the history outlives its readers

  onCreate() {
    this.state = { lines: [], lastId: 0, people: [], lastNumber: 0 };
  }

  onJoin(player: Player<Chat>) {
    const { session, name } = player, { people } = this.state;
    player.data = { wrote: [] };
    do this.state.lastNumber = (this.state.lastNumber + 1) % NUMBERS;
    while (people.some(({ number }) => number === this.state.lastNumber));
    people.push({ session, number: this.state.lastNumber, name, connected: true });
  }

  onDrop(player: Player<Chat>) {
    this.#person(player).connected = false;
  }

  onReconnect(player: Player<Chat>) {
    this.#person(player).connected = true;
  }

  onLeave({ session }: Player<Chat>) {
    this.state.people = this.state.people.filter((person) => person.session !== session);
  }

  // An operator removes a player for good: also what it has written.
  onErase() {
    this.state.lines = [];
  }

  messages: Messages<Chat> = {
    /** Who the client is among the people. */
    me: (player) => ({ number: this.#person(player).number }),

    // A client may send any JSON, also what is not of the declared type.
    say: (player, data) => {
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

    typing: (player) => this.broadcast("typing", { name: player.name }, { except: player }),
  };

  // One parameter: the view is the same for all.
  view({ lines, people }: State): View {
    return { lines, people: people.map(({ number, name, connected }) => ({ number, name, connected })) };
  }

  #person({ session }: Player<Chat>): Person {
    return this.state.people.find((person) => person.session === session)!;
  }
}
