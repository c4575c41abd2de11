// A room in which everybody counts: replace it by your own.

import { Room, type Player } from "chorus";

import type { View } from "../../shared/counter.ts";

interface Person { session: string; name: string; connected: boolean; presses: number }
interface State { count: number; people: Person[] }

const MOST = 999;

export default class Counter extends Room<State> {
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

  messages = {
    // What a client sends can be any JSON: check it, and refuse the rest.
    press: (player: Player, data: any) => {
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

  #person({ session }: Player): Person {
    return this.state.people.find((person) => person.session === session)!;
  }
}
