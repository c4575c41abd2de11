// Rooms of a declaration: what the types accept, and what they reject.

import { Room, type Messages, type OptionsOf, type Player, type StateOf, type Timers, type ViewOf } from "chorus";

import type { Declared, Mark } from "./declared.js";

export default class Game extends Room<Declared> {
  override onCreate({ size, title }: OptionsOf<Declared>): void {
    const named: string | undefined = title;
    this.state = { board: Array(size).fill(null), turn: "x", secret: this.random.int(10) };
    this.schedule.after(30_000, "turn", { mark: this.state.turn });
    this.schedule.after(60_000, "close");
    this.schedule.cancel("close");
    this.rooms.create<Declared>("game", { size: 3 });
    this.rooms.create("chat", { anything: named });
  }

  override onJoin(player: Player<Declared>): void {
    player.data = { mark: "o" };
    player.send("won", { mark: player.data.mark, line: [] });
    this.broadcast("started");
    this.broadcast("won", { mark: "x", line: [0] }, { except: player });
    this.broadcast("started", undefined, { except: [...this.players] });
  }

  override messages: Messages<Declared> = {
    place: (player, { cell }) => {
      this.state.board[cell] = player.data.mark;
      return { left: 3 };
    },
    rematch: () => {},
    chat: (_player, { text }) => text.toUpperCase(),
  };

  override timers: Timers<Declared> = { turn: ({ mark }) => { this.state.turn = mark; }, close: () => this.end() };

  override view({ board }: StateOf<Declared>, player: Player<Declared>): ViewOf<Declared> { return { board, yours: player.data.mark }; }

  refusals(player: Player<Declared>): void {
    // @ts-expect-error no such event
    this.broadcast("wno", { mark: "x", line: [] });
    // @ts-expect-error an event has the data that is declared
    this.broadcast("won", { mark: "y", line: [] });
    // @ts-expect-error its data is not left out
    this.broadcast("won");
    // @ts-expect-error no such event for one player
    player.send("moved", {});
    // @ts-expect-error the state has a shape
    this.state.turn = "z";
    // @ts-expect-error so has a player's data
    player.data.mark = 1;
    // @ts-expect-error no such timer
    this.schedule.after(1, "trun", { mark: "x" });
    // @ts-expect-error a timer has the payload that is declared
    this.schedule.after(1, "turn", {});
    // @ts-expect-error no such timer to cancel
    this.schedule.cancel("trun");
    // @ts-expect-error options are those of the kind
    this.rooms.create<Declared>("game", { sizes: 3 });
  }
}

export class MissingHandler extends Room<Declared> {
  // @ts-expect-error each declared message has a handler
  override messages: Messages<Declared> = { place: () => ({ left: 1 }), rematch: () => {} };
}

export class WrongReply extends Room<Declared> {
  // @ts-expect-error a reply is as declared
  override messages: Messages<Declared> = { place: () => ({ right: 1 }), rematch: () => {}, chat: () => {} };
}

export class UnknownMessage extends Room<Declared> {
  // @ts-expect-error no other message is declared
  override messages: Messages<Declared> = { place: () => ({ left: 1 }), rematch: () => {}, chat: () => {}, shout: () => {} };
}

export class WrongView extends Room<Declared> {
  // @ts-expect-error a view is as declared
  override view(state: StateOf<Declared>) { return { board: state.turn, yours: null }; }
}

export class WrongTimers extends Room<Declared> {
  // @ts-expect-error each declared timer has a handler
  override timers: Timers<Declared> = { turn: () => {} };
}

/** Only what is declared is checked: here, the messages. */
interface Partly { messages: { add: { by: number } } }
export class PartlyDeclared extends Room<Partly> {
  override messages: Messages<Partly> = {
    add: (player, { by }) => {
      const whole: number = by;
      this.state = { count: whole };
      player.data.seen = true;
      this.broadcast("added", { by });
      this.schedule.after(1, "any", {});
    },
  };
}

/** A state that has members of these names is still a state: a list or a map of messages, or another member beside. */
export class States {
  list = (room: Room<{ messages: string[] }>): string | undefined => room.state.messages[0];
  map = (room: Room<{ messages: { [id: string]: Mark } }>): Mark | undefined => room.state.messages.a;
  more = (room: Room<{ events: { first: number }; round: number }>): number => room.state.events.first + room.state.round;
}

/** A room of a declaration is a room. */
export const any = (room: Room<Declared>, player: Player<Declared>): [Room, Player] => [room, player];
