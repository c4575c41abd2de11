// Programs that the SDK's types accept, and programs that they reject. Each rejection is expected: a missing one is an error of
// `tsc`.

import { LOBBY, Room, type Json, type LeaveReason, type Messages, type Player, type RestoreReason } from "chorus";

interface State { board: (0 | 1 | null)[]; turn: 0 | 1; deadline: number | null }
interface Data { score: number }

export default class Promises extends Room<State, Data> {
  static override config = { maxPlayers: 2, reconnectSeconds: 60, budget: { stateKiB: 64 } };
  static override stateVersion = 2;
  static override migrate(old: any, from: number): State { return from === 1 ? { ...old, deadline: null } : old; }

  override onCreate({ seats }: { seats: string[] }): void {
    const mixed: string[] = this.random.shuffle(seats);
    const first: 0 | 1 = this.random.pick([0, 1]);
    const perhaps: string | undefined = this.random.pick(mixed);
    this.state = { board: Array(9).fill(null), turn: first, deadline: this.now() + this.random.int(6) };
    this.schedule.after(1_000, "turnExpired", { perhaps });
    this.schedule.cancel("turnExpired");
    const room: string = this.rooms.create("tic-tac-toe", { seats });
    this.rooms.send(room, { hello: 1 });
  }

  override onJoinAttempt(player: Player<Data>): boolean | "spectator" { return player.id !== "" || "spectator"; }
  override onJoin(player: Player<Data>): void { player.data.score = 0; }
  override onLeave(_player: Player<Data>, reason: LeaveReason): void { if (reason === "timed-out") this.end({ reason }); }
  override onRestore(why: RestoreReason): void { this.log.info(why); }
  override onRoomEnd(_room: string, outcome: Json, failed?: string): void { console.log(outcome, failed); }

  override messages: Messages<Data> = {
    move: (player, { cell }) => {
      if (this.state.board[cell] !== null) this.refuse("the cell is taken");
      player.data.score += 1;
      this.broadcast("moved", { cell }, { except: player });
      return { left: [...this.players].filter(({ connected }) => connected).length };
    },
    home: (player) => player.moveTo(LOBBY),
    watch: (player) => (player.spectator ? player.sit() : player.stand()),
  };

  override timers = { turnExpired: (payload: { perhaps?: string }) => this.log.warn(payload.perhaps ?? "nobody") };
  override view(state: State, player: Player<Data>) { return { ...state, you: player.session }; }

  refusals(player: Player<Data>): void {
    // @ts-expect-error the state has a shape
    this.state.board = "empty";
    // @ts-expect-error a player's data too
    player.data.score = "many";
    // @ts-expect-error only the edge sets a player's id
    player.id = "ana";
    // @ts-expect-error a role changes by sit and stand
    player.spectator = true;
    // @ts-expect-error the list of members is read-only
    this.players = [];
    // @ts-expect-error a timer has a name, and is no function
    this.schedule.after(1_000, () => {});
    // @ts-expect-error a room has no other timers
    setTimeout(() => {}, 1_000);
    // @ts-expect-error a room has no network
    fetch("https://example.org");
    // @ts-expect-error a room has no process to end
    process.exit(1);
    // @ts-expect-error a refusal has a reason
    this.refuse();
    // @ts-expect-error a random integer needs a bound
    this.random.int();
  }
}

// @ts-expect-error a config has no other keys
export class BadConfig extends Room { static override config = { maxPlayers: "two" }; }

// @ts-expect-error an answer to a join is true, false or "spectator"
export class BadAnswer extends Room { override onJoinAttempt() { return "perhaps" as const; } }
