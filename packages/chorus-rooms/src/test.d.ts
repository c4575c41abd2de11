/**
 * Tests of rooms: `import { createRoom, play } from "chorus-rooms/test"`. See docs/testing.md.
 *
 * `T` is the declaration that the room and its clients share (docs/scripting.md, "Types"); or the type of the state, with that of the view.
 */

import type { Declared, EventsOf, Given, IsAny, IsDeclaration, IsOpen, MessageData, MessageReply, MessagesOf, Name, ViewOf } from "../../../clients/js/chorus.js";

type StateOf<T> = IsDeclaration<T> extends true ? Declared<T, "state", any> : T;
/** What a player is of: the declaration, or the type of its view. */
type Of<T, View> = IsDeclaration<T> extends true ? T : View;
type Open = { [name: string]: any };
type OptionsOf<T> = Declared<T, "options", any>;
type TimersOf<T> = IsDeclaration<T> extends true ? { [Key in keyof Declared<T, "timers", Open>]?: Timer<Declared<T, "timers", Open>[Key]> } : { [name: string]: Timer };

/** Creates a room: of a kind of the project, or of the room at this path or URL. `options` are those of `onCreate`. */
export declare function createRoom<T = any, View = any>(kind: string | URL, options?: OptionsOf<T>, settings?: RoomSettings): Promise<TestRoom<T, View>>;

export interface RoomSettings {
  /** 32 hexadecimal digits; by default made from the kind. */
  id?: string;
  /** The room that has created this one. */
  creator?: string;
  /** What the room's randomness is made from. */
  seed?: string | number;
  /** Whether each event is also handled by a restored twin. True by default. */
  replay?: boolean;
  /** How many rooms it may create. By default its budget. */
  rooms?: number;
  /** Answers the searches (`rooms.find`) of the room, a millisecond later. Without it a search waits for `answer`, or fails. */
  find?: (kind: string, where: any) => unknown[];
}

export interface Timer<Payload = any> { due: number; payload: Payload }
/** An event that a player has received. */
export type Event<T = any> = IsOpen<EventsOf<T>> extends true ? { type: string; data: any } : { [Type in Name<EventsOf<T>>]: { type: Type; data: EventsOf<T>[Type] } }[Name<EventsOf<T>>];

export declare class TestRoom<T = any, View = any> {
  private constructor();
  readonly id: string;
  readonly kind: string;
  /** Milliseconds since 1970, in virtual time. */
  readonly now: number;
  /** The stored state: a copy. */
  readonly state: StateOf<T>;
  /** The players in the room, connected and held, in the order of joining. */
  readonly members: TestPlayer<Of<T, View>>[];
  readonly timers: TimersOf<T>;
  readonly metadata: any;
  readonly locked: boolean;
  readonly log: { level: "debug" | "info" | "warn" | "error"; text: string }[];
  /** The rooms that it has created, and what it has sent to others. */
  readonly created: { room: string; kind: string; options: any; ended: boolean }[];
  readonly sent: { room: string; data: any }[];
  readonly kicked: { session: string; reason: string }[];
  readonly ended: boolean;
  /**
   * The latest call of the script: of the last message that was sent, or the last timer of an `advance`. `fuel` and its `limit` are in the units of
   * the budgets `fuelPerMessage` and `fuelPerRecord`; `share` is one by the other.
   */
  readonly lastCall: { handler: string; fuel: number; limit: number; share: number } | undefined;
  /** What it has ended with, and why if it has failed. */
  readonly outcome: any;
  readonly failed: string | undefined;

  /** A player joins. Rejects with the code `refused`. The same id again is a second session of the same player. */
  join(player?: string | JoinOptions<T>): Promise<TestPlayer<Of<T, View>>>;
  /** Lets time pass, in milliseconds. */
  advance(ms: number): Promise<void>;
  /** The server is killed, and the room restored from its records. */
  restore(): Promise<void>;
  /**
   * The server is gone for so many milliseconds, and the room is restored then. A timer fires no earlier than 10 seconds after that, or its
   * own delay if that is shorter.
   */
  outage(ms: number): Promise<void>;
  /** The room hibernates until its next event. */
  sleep(): Promise<void>;
  /** The script is replaced, by the room at this path or by itself. Rejects with the code `refused`. */
  swap(kind?: string | URL): Promise<void>;
  /** Another room sends data to this one. */
  receive(room: string, data: unknown): Promise<void>;
  /** The searches that have no answer yet, the oldest first. */
  readonly finds: { kind: string; where: any; handler: string; data: any }[];
  /** The oldest search is answered. Rejects if there is none. */
  answer(found: { rooms?: unknown[]; truncated?: boolean; asOf?: number; error?: string }): Promise<void>;
  /** A room that this one has created ends. */
  childEnds(room: string, outcome?: unknown, ending?: { failed?: string }): Promise<void>;
  /** All players leave, and time passes. Rejects if timers are set again and again in the empty room. */
  rest(options?: { ticksWhenEmpty?: boolean }): Promise<void>;
  /** Does the same many times, with a second between. Rejects if the state or a view grows with each. */
  repeat(times: number, action: (index: number) => unknown, options?: { growth?: boolean }): Promise<void>;
}

export interface JoinOptions<T = any> {
  name?: string;
  /** By default the id of a guest of this name. */
  id?: string;
  claims?: { [name: string]: any };
  /** As the room that moved the player here has given them. */
  options?: OptionsOf<T>;
  from?: string;
}

/** `T` is a declaration, or the type of the view. */
export declare class TestPlayer<T = any> {
  private constructor();
  readonly session: string;
  readonly id: string;
  readonly name: string;
  readonly isMember: boolean;
  readonly connected: boolean;
  readonly spectator: boolean;
  readonly data: Declared<T, "playerData", any>;
  /** What the player sees; after it has left, what it has seen last. */
  readonly view: ViewOf<T>;
  /** All events of this stay. */
  readonly events: Event<T>[];
  /** The room that the player is on its way to. */
  readonly moving: { room: string; options: any } | undefined;
  /** The events since the previous call. */
  received(): Event<T>[];
  /**
   * Resolves with the reply. Rejects with the code `refused`, `fault`, `too_costly` or `unknown_type`. Data that only a dishonest client
   * sends is not of the declared type: `send("move", wrong as any)`.
   */
  send<Reply = any, Type extends Name<MessagesOf<T>> = Name<MessagesOf<T>>>(
    type: Type, ...data: Given<MessageData<MessagesOf<T>[Type]>>
  ): Promise<IsOpen<MessagesOf<T>> extends true ? Reply : MessageReply<MessagesOf<T>[Type]>>;
  join(options?: Omit<JoinOptions<T>, "name" | "id">): Promise<void>;
  drop(): Promise<void>;
  reconnect(): Promise<void>;
  leave(reason?: "left" | "moved" | "timed-out" | "kicked"): Promise<void>;
  /** A guest signs in. */
  upgrade(id?: string, player?: { name?: string; claims?: { [name: string]: any } }): Promise<void>;
  /** The room that it is on its way to admits it, or refuses it. */
  arrive(): Promise<void>;
  refuseMove(reason?: string): Promise<void>;
}

/** Random choices of a play: the same for the same seed. */
export interface Dice {
  float(): number;
  int(n: number): number;
  between(least: number, most: number): number;
  bool(chance?: number): boolean;
  pick<T>(list: readonly T[]): T;
  shuffle<T>(list: readonly T[]): T[];
}

export interface Member<T = any> { session: string; id: string; name: string; connected: boolean; spectator: boolean; data: Declared<T, "playerData", any>; view: ViewOf<T> }

/** A room after an event. */
export interface Snapshot<T = any, View = any> {
  readonly kind: string;
  readonly now: number;
  readonly state: StateOf<T>;
  readonly members: Member<Of<T, View>>[];
  readonly timers: TimersOf<T>;
  readonly metadata: any;
  readonly locked: boolean;
  readonly ended: boolean;
  readonly outcome: any;
}

/** A value, or what makes one for each use. */
type Drawn<Value, Given extends unknown[] = []> = Value | ((random: Dice, ...given: Given) => Value);
/** Values that are not declared. */
type Anything = null | boolean | number | string | readonly unknown[] | { readonly [key: string]: unknown };
/** What a play may send: the declared data; null where a message has none; undefined for nothing at this time. */
type Sent<Data> = IsAny<Data> extends true ? any : undefined extends Data ? Data | null : Data | undefined;
type Context<T, View> = [{ room: Snapshot<T, View>; player: Member<Of<T, View>> }];
type DrawnOptions<T, Given extends unknown[] = []> = IsAny<OptionsOf<T>> extends true ? Anything | ((random: Dice, ...given: Given) => unknown) : Drawn<OptionsOf<T>, Given>;

export interface Plan<T = any, View = any> {
  /** The options of `onCreate`, and of joins. */
  create?: DrawnOptions<T>;
  join?: DrawnOptions<T, [{ room: Snapshot<T, View> }]>;
  /** Data by message type. `undefined`: nothing to send now. Without it, all types are sent with random data. */
  messages?: IsOpen<MessagesOf<T>> extends true
    ? { [type: string]: Anything | ((random: Dice, ...given: Context<T, View>) => unknown) }
    : { [Type in Name<MessagesOf<T>>]?: Drawn<Sent<MessageData<MessagesOf<T>[Type]>>, Context<T, View>> };
  /** Data from other rooms; none by default. */
  receive?: Anything | ((random: Dice, given: { room: Snapshot<T, View> }) => unknown);
  /** How created rooms end: `{ outcome }`. */
  childEnds?: Anything | ((random: Dice) => unknown);
  /** The metadata of the rooms that a search (`rooms.find`) finds. By default that of this room, if it looks for its own kind; the fields of `where` are added. */
  metadata?: Anything | ((random: Dice, given: { kind: string; where: any }) => unknown);
  /** By name; each must not throw or return false. `before` is undefined at first. */
  invariants?: { [name: string]: (room: Snapshot<T, View>, before: Snapshot<T, View> | undefined) => unknown };
  /** At most so many players, 1 to 8, 4 by default; whether some have a second session. */
  players?: number;
  tabs?: boolean;
  /** At most so many steps in a run: 40 by default. */
  steps?: number;
  /** Repetitions that show whether something grows: 1,000 by default, 0 for none. */
  repetitions?: number;
  /** Whether the state may grow without limit. */
  grows?: boolean;
  /** Whether messages with senseless data are sent too. True by default. */
  junk?: boolean;
  /** Size of the state and of a view, in 1,024 characters: 256 by default. */
  maxKiB?: number;
  /** Whether timers may go on in an empty room. */
  ticksWhenEmpty?: boolean;
}

/** Declares how a kind is played at random, and what must be true of it: a test under Node's test runner. */
export declare function play<T = any, View = any>(kind: string | URL, plan?: Plan<T, View>): void;

export interface Played {
  runs: number;
  steps: number;
  /** What the runs have reached, as data: see the member `play` of `chorus test --json`. */
  reached: { toJSON(): Reached };
  failure?: { run: number; rule: string; message: string; steps: object[]; found: number; story: string };
}

export interface Reached {
  messages: { [type: string]: { accepted: number; refused: number } };
  timers: { [name: string]: number };
  answers: { [name: string]: number };
  /** Message types, timers and answers of the room that are in none of the runs. */
  never: { accepted: string[]; fired: string[]; answered: string[] };
  /** The largest share of its limit of fuel that each handler has used. */
  fuel: { [handler: string]: number };
}

/** As `play`, without a test. */
export declare function playKind<T = any, View = any>(kind: string | URL, plan?: Plan<T, View>, runs?: { runs?: number; seed?: number }): Promise<Played>;

/** A refusal, or a call that failed. */
export declare class RoomError extends Error {
  readonly code: "refused" | "fault" | "too_costly" | "unknown_type";
}

/** A rule that does not hold: an invariant, determinism, growth. */
export declare class Broken extends Error {
  readonly rule: string;
}

/** The id of the guest of this name, as `join` makes it. */
export declare function guestId(name: string): string;
/** An id for a room that is not in the test. */
export declare function roomNamed(name: string): string;
export declare const LOBBY: string;
