// A room in which everybody counts: replace it by your own.

import { Room, type Messages, type Player } from "chorus";

import type { Counter, State, View } from "../../shared/counter.ts";

const MOST = 999;

export default class CounterRoom extends Room<Counter> {
  static config = { maxPlayers: 8, reconnectSeconds: 60 };

  onCreate() {
    this.state = { count: 0, people: [] };
  }

  onJoin({ session, name }: Player) {
    this.state.people.push({ session, name, connected: true, presses: 0 });
  }

  onDrop(player: Player) {
    this.#person(player).connected = false;
  }

  onReconnect(player: Player) {
    this.#person(player).connected = true;
  }

  onLeave({ session }: Player) {
    this.state.people = this.state.people.filter((person) => person.session !== session);
  }

  messages: Messages<Counter> = {
    // A client may send any JSON, also what is not of the declared type: check it, and refuse the rest.
    press: (player, data) => {
      const by = data?.by ?? 1;
      if (by !== 1 && by !== -1) this.refuse("by is 1 or -1");
      if (Math.abs(this.state.count + by) > MOST) this.refuse(`the count ends at ${MOST}`);
      this.state.count += by;
      const person = this.#person(player);
      person.presses = Math.min(person.presses + 1, MOST);
    },
  };

  // What a member sees in place of the state: never the sessions of others.
  view({ count, people }: State, { session: own }: Player): View {
    return { count, players: people.map(({ session, name, connected, presses }) => ({ name, connected, you: session === own, presses })) };
  }

  #person({ session }: Player): State["people"][number] {
    return this.state.people.find((person) => person.session === session)!;
  }
}
