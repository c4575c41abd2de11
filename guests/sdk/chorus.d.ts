/**
 * What a room's script imports as `"chorus"`.
 *
 * A room is a class that extends {@link Room}. Its hooks and handlers run one at a time and to completion. Their changes of
 * `this.state` and their effects are applied when they return, and none of them when they throw.
 */
declare module "chorus" {
  /** Plain data: the values that a room stores, sends and receives. */
  export type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };

  // Of one declaration, as docs/scripting.md ("Types") describes it. The client's types, in `chorus.d.ts` of chorus-client, read it by the same rules.

  /** What a declaration may have. */
  type DeclarationMember = "messages" | "events" | "view" | "state" | "options" | "playerData" | "timers";
  type IsAny<T> = 0 extends 1 & T ? true : false;
  /** Whether it is an object with named members: no list, and no map by arbitrary keys. */
  type IsNamed<M> = IsAny<M> extends true ? false : M extends readonly unknown[] ? false : M extends object ? (string extends keyof M ? false : true) : false;
  /** Whether it has `messages` or `events`, and nothing else than a declaration has. Other types are those of a state, or of a player's data. */
  type IsDeclaration<T> = IsAny<T> extends true ? false : [T] extends [object] ? [keyof T] extends [DeclarationMember]
    ? T extends { messages: infer M } ? IsNamed<M> : T extends { events: infer E } ? IsNamed<E> : false
    : false : false;
  /** A member of the declaration; `Otherwise` if it is not declared. */
  type Declared<T, Member extends DeclarationMember, Otherwise> = IsDeclaration<T> extends true ? T extends { [M in Member]: infer Type } ? Type : Otherwise : Otherwise;
  type Name<Types> = keyof Types & string;
  /** The arguments after a name: what is declared as `void` or with `undefined` may be left out. */
  type Given<Type, Rest extends unknown[] = []> = IsAny<Type> extends true ? [data?: any, ...Rest] : [undefined] extends [Type] ? [data?: Type, ...Rest] : [Type] extends [void] ? [data?: undefined, ...Rest] : [data: Type, ...Rest];
  /** A message is declared by its data, or by a function of its data, which returns the reply. */
  type MessageData<M> = IsAny<M> extends true ? any : M extends (...data: infer Data) => unknown ? Data extends [] ? undefined : Data[0] : M;
  type MessageReply<M> = IsAny<M> extends true ? unknown : M extends (...data: any) => infer Reply ? Reply : unknown;

  type Open = { [name: string]: any };
  type EventsOf<T> = Declared<T, "events", Open>;
  type TimersOf<T> = Declared<T, "timers", Open>;
  /** The state's type: that of the declaration; or else `T` itself. */
  export type StateOf<T> = IsDeclaration<T> extends true ? Declared<T, "state", any> : T;
  /** The type of a view. Without one, members receive the state. */
  export type ViewOf<T> = Declared<T, "view", Declared<T, "state", unknown>>;
  /** The type of a room's options: those of clients, which `onCreate` and `onJoin` receive unchecked. */
  export type OptionsOf<T> = Declared<T, "options", any>;
  /** The type of `player.data`: that of the declaration; or else `T` itself. */
  export type DataOf<T> = IsDeclaration<T> extends true ? Declared<T, "playerData", any> : T;

  /** The id of the room that every session joins first. `player.moveTo("lobby")` names the same room. */
  export const LOBBY: string;

  /** The reason why a member has left. */
  export type LeaveReason = "left" | "moved" | "timed-out" | "kicked" | "replaced";

  /** The reason for a new instance of an existing room. Only at `"swapped"` may the room change anything. */
  export type RestoreReason = "recovered" | "woken" | "swapped" | "faulted";

  /** A member of the room: a session, and its player. Valid until the member has left. `T` is a declaration, or the type of `data`. */
  export interface Player<T = any> {
    /**
     * The player's identity, checked by the edge: `u:` and the subject of its token, or `g:` and the number of a guest. A player
     * with two devices has two sessions with one identity.
     */
    readonly id: string;
    /** The id of the session: 32 hexadecimal digits. It outlives a lost connection. */
    readonly session: string;
    readonly name: string;
    /**
     * What the player's token claims, as far as the server passes it on (`--token-claims`): in `onJoinAttempt`, `onJoin` and
     * `onUpgrade` alone. Elsewhere, and for guests, undefined. What the room needs later belongs into `data`.
     */
    readonly claims: { readonly [name: string]: any } | undefined;
    /** False while the seat is held for a player whose connection is gone. */
    readonly connected: boolean;
    /** Whether the member watches, and takes no player's seat. `sit` and `stand` change it. */
    readonly spectator: boolean;
    /**
     * The script's plain data about this member. It survives with the room, and is dropped when the member leaves; with
     * `sessionsPerPlayer`, it passes to the session that replaces this one. No other property of a player can be set.
     */
    data: DataOf<T>;
    /** Sends this member an event. */
    send<Type extends Name<EventsOf<T>>>(type: Type, ...data: Given<EventsOf<T>[Type]>): void;
    /**
     * Moves the member to another room, over the same connection. It stays a member until the other room has admitted it;
     * then `onLeave(player, "moved")` runs, or else `onMoveFailed`.
     */
    moveTo(room: string, options?: unknown): void;
    /** Closes the member's session. */
    kick(reason?: string): void;
    /**
     * Reports the player to the server's operators, who read it by `chorus player reports`. The reason is cut after 512 bytes;
     * the data is plain and has 4,096 bytes as JSON at most. Of a room's reports beyond 100 at once and one more every ten
     * seconds, none is kept.
     */
    report(reason: string, data?: unknown): void;
    /**
     * Makes the spectator a player, from this line on. `data` is kept. Throws a `RangeError` when the room has `maxPlayers`
     * players, and a `TypeError` when the member is a player already.
     */
    sit(): void;
    /** Makes the player a spectator, from this line on; its seat is free. Throws when the member is a spectator already. */
    stand(): void;
  }

  /** The members, connected and held, in the order of joining. Iterating gives the players. */
  export interface Players<T = any> extends Iterable<Player<T>> {
    readonly size: number;
    get(session: string): Player<T> | undefined;
    has(session: string): boolean;
    /** All members who are this player. */
    of(id: string): Player<T>[];
    filter(test: (player: Player<T>) => boolean): Player<T>[];
    forEach(visit: (player: Player<T>, session: string, players: Players<T>) => void): void;
    values(): Iterator<Player<T>>;
  }

  /** The room's random numbers: the same in a replay, different in every room and every call. */
  export interface Random {
    /** From 0 to below 1. `Math.random` is the same function. */
    float(): number;
    /** A whole number from 0 to below `n`. */
    int(n: number): number;
    /** An item of the list; undefined when it is empty. */
    pick<T>(list: readonly [T, ...T[]]): T;
    pick<T>(list: readonly T[]): T | undefined;
    /** A shuffled copy. */
    shuffle<T>(list: readonly T[]): T[];
  }

  /** The room's log. `console` writes it too. */
  export interface Log {
    debug(...parts: unknown[]): void;
    info(...parts: unknown[]): void;
    warn(...parts: unknown[]): void;
    error(...parts: unknown[]): void;
  }

  export interface Rooms {
    /**
     * Creates a room, and returns its id at once. When the room ends, or cannot be created, `onRoomEnd` runs.
     *
     * The new room takes one of the rooms that this one may have, and as many more as `rooms` hands down for it to create in
     * turn: 0 by default. Throws when too few are left. `create<TicTacToe>(…)`: with the options that this kind declares.
     */
    create<T = any>(kind: string, options?: OptionsOf<T>, handDown?: { rooms?: number }): string;
    /** How many rooms this one may still create. In the lobby, which has a rate limit instead, `Infinity`. */
    readonly left: number;
    /**
     * Looks for living rooms of a kind whose metadata (`setMetadata`) has these fields with these values. The answer is a record
     * of its own, and runs `answers[handler]` with what was found and with `data`, in ten seconds at the latest: then, or when
     * the server cannot look, it has an `error`. At most 16 searches are pending; a further one throws. `where` and `data` have
     * at most 4,096 bytes as JSON each.
     */
    find(kind: string, where: { [field: string]: unknown } | null, handler: string, data?: unknown): void;
    /** Sends data to another room's `onRoomMessage`. */
    send(room: string, data?: unknown): void;
  }

  /** `T` is a declaration of timers, by the types of their payloads. */
  export interface Schedule<T = any> {
    /** Runs `timers[name]` with `payload` in `ms` milliseconds. A timer of that name that is pending is replaced. */
    after<Timer extends Name<TimersOf<T>>>(ms: number, name: Timer, ...payload: Given<TimersOf<T>[Timer]>): void;
    cancel(name: Name<TimersOf<T>>): void;
  }

  /**
   * Handlers by message type. A handler's return value is the reply; `this.refuse(reason)` answers with an error. `T` is a declaration, or
   * the type of a player's data. A client's data is of the declared type only if the client is honest: check it.
   */
  export type Messages<T = any> = Handlers<T, Declared<T, "messages", { [type: string]: any }>>;
  type Handlers<T, M> = { [Type in keyof M]: (player: Player<T>, data: MessageData<M[Type]>) => MessageReply<M[Type]> };

  /** Handlers by the name of the timer. `T` is a declaration. */
  export type Timers<T = any> = TimerHandlers<TimersOf<T>>;
  type TimerHandlers<Payloads> = { [Timer in keyof Payloads]: (payload: Payloads[Timer]) => void };

  /** What `rooms.find` has found. */
  export interface Found<Metadata = any> {
    /** At most 50, the latest created first. The room that looks is among them, if it matches. */
    rooms: FoundRoom<Metadata>[];
    /** When the server looked, in milliseconds since 1970. */
    asOf: number;
    /** Whether there may be more rooms that match. */
    truncated: boolean;
    /** Why there is no answer: `rooms` is empty then. */
    error?: string;
  }

  /** A room as it was at `asOf`: up to half a minute before the search. It may be full, locked or gone by now. */
  export interface FoundRoom<Metadata = any> {
    id: string;
    kind: string;
    /** Players and spectators. */
    members: number;
    createdAt: number;
    asOf: number;
    metadata: Metadata | null;
  }

  /** Handlers of what `rooms.find` has found, by their names. */
  export type Answers = { [name: string]: (found: Found, data: any) => void };

  /** `static config` of a room's class. */
  export interface Config {
    /** The number of players, not counting spectators; 0, the default, sets no limit. */
    maxPlayers?: number;
    /**
     * How many sessions of one player are members at a time: with 1, a further one takes the seat of the older one, which leaves
     * with `"replaced"`. 0, the default, sets no limit.
     */
    sessionsPerPlayer?: number;
    /** How long the seat of a player whose connection is lost is held. 60 by default. */
    reconnectSeconds?: number;
    /** Whether the room continues without members. */
    keepWhenEmpty?: boolean;
    /** Otherwise, how long an empty room waits for a member before it ends. 60 by default. */
    emptySeconds?: number;
    /**
     * How many rooms of this kind may share one instance, 1 to 64. They share its `budget.memoryMiB`, and a call that traps ends the instance
     * of all, which are restored. 1 by default: each room has an instance of its own.
     */
    share?: number;
    budget?: Budget;
  }

  /** Limits of one room. Exceeding fuel, memory or time is a fault, and the record that caused it is skipped; the others throw. */
  export interface Budget {
    fuelPerRecord?: number;
    /** For one record that a client has caused: a message, a join, a drop, a reconnect, a leave. */
    fuelPerMessage?: number;
    memoryMiB?: number;
    outputKiB?: number;
    effectsPerRecord?: number;
    /** Timers pending at a time. */
    timers?: number;
    roomsPerRecord?: number;
    /** Living rooms that it has created, including those that they have created in turn. 16 by default. */
    rooms?: number;
    stateKiB?: number;
    /** Faults in a row, after which the room ends. */
    faults?: number;
  }

  /** `static lobby` of a room's class: how the default lobby brings players into rooms of this kind. */
  export interface Lobby {
    /**
     * Players wait in the lobby until so many are there, 2 to 64; a room is then created with `seats`, their ids, and `names`. By
     * default, a player joins a room that has a free seat, or a new one.
     */
    seats?: number;
    /**
     * Names of values that players of one room have in common, as `["mode", "level"]`, at most 8: those of the options that the room was
     * created with, or that it has set as metadata since. A value is a text of at most 64 characters, a number, a boolean or null.
     */
    match?: readonly string[];
    /** Whether clients may create rooms of their own, private ones for instance. True by default. */
    create?: boolean;
  }

  /** What players are of: the declaration, or the type of their data. */
  type Of<T, Data> = IsDeclaration<T> extends true ? T : Data;

  /** `T` is a declaration; or the type of the state, with that of a player's data. */
  export abstract class Room<T = any, Data = any> {
    static config?: Config;
    /** What the default lobby does with this kind; false: clients cannot request it. True, as without it: they can. */
    static lobby?: Lobby | boolean;
    /** Raise it when the shape of the state changes. 1 by default. */
    static stateVersion?: number;
    /** Converts a state of version `from` to this version. A throw refuses the swap. */
    static migrate?(old: any, from: number): unknown;

    /** Plain JSON data, and the only field that survives. Other fields are constants, and cannot be set. */
    state: StateOf<T>;

    readonly id: string;
    readonly kind: string;
    /** The room that created this one. */
    readonly creator: string | null;
    readonly locked: boolean;
    readonly players: Players<Of<T, Data>>;
    readonly random: Random;
    readonly log: Log;
    readonly rooms: Rooms;
    readonly schedule: Schedule<T>;

    messages?: Messages<Of<T, Data>>;
    timers?: Timers<T>;
    answers?: Answers;

    /** Milliseconds since 1970: the record's time, constant within a call. `Date` has the same time. */
    now(): number;
    /** Sends every member an event, except those in `except`: players, or sessions as 32 hexadecimal digits. */
    broadcast<Type extends Name<EventsOf<T>>>(type: Type, ...data: Given<EventsOf<T>[Type], [options?: { except?: Player | string | readonly (Player | string)[] | null }]>): void;
    /**
     * Answers the current message or join with an error, and undoes its changes. It throws, and holds even if the script
     * catches the exception.
     */
    refuse(reason: string): never;
    /** Admits no more joins. Reconnecting members are still admitted. */
    lock(): void;
    unlock(): void;
    /** Sets the data that lists of rooms show for this room. */
    setMetadata(data: unknown): void;
    /** Ends the room after this call. The room that created it receives the outcome. */
    end(outcome?: unknown): void;

    onCreate?(options: OptionsOf<T>): void;
    /**
     * Decides whether the player may join. If `player.spectator` is true, all players' seats are taken: `true` then refuses the
     * player, unless the hook has had another player `stand` up.
     */
    onJoinAttempt?(player: Player<Of<T, Data>>, options: OptionsOf<T>): boolean | "spectator";
    onJoin?(player: Player<Of<T, Data>>, options: OptionsOf<T>): void;
    /** The player's connection is lost; its seat is held. */
    onDrop?(player: Player<Of<T, Data>>): void;
    onReconnect?(player: Player<Of<T, Data>>): void;
    /**
     * A guest has signed in: `player.id` is its account's from here on, and was `oldId`. A room without this hook keeps the old
     * `player.id` until the player leaves.
     */
    onUpgrade?(player: Player<Of<T, Data>>, oldId: string): void;
    /** The player has left for good, and is no longer in `this.players`. */
    onLeave?(player: Player<Of<T, Data>>, reason: LeaveReason): void;
    /**
     * An operator erases this player, who is no member any more: remove what the state keeps of it. `id` is the player's id.
     * A room without this hook keeps what its script has stored.
     */
    onErase?(id: string): void;
    onRoomMessage?(room: string, data: any): void;
    /** A room that this one created has ended, or `failed`, or could not be created. */
    onRoomEnd?(room: string, outcome: any, failed?: string): void;
    onMoveFailed?(player: Player<Of<T, Data>>, room: string, reason: string): void;
    onRestore?(why: RestoreReason): void;
    onDispose?(outcome: any): void;

    /**
     * The view that members receive, instead of the whole state. With one parameter it is shared by all members; with two it is
     * called for each member. It runs after every call that changed the state, a player's data or a role, and should depend only
     * on its arguments.
     */
    view?(state: StateOf<T>, player: Player<Of<T, Data>>): ViewOf<T>;
  }
}

/** For a lobby: what clients may request. Written by the build, from the classes of the other guests. */
declare module "chorus/kinds" {
  export interface Offer {
    /** `static config.maxPlayers`; 0 for any number. */
    readonly maxPlayers: number;
    /** `static lobby`; 0 where players do not wait. */
    readonly seats: number;
    readonly match: readonly string[];
    readonly create: boolean;
  }

  export const kinds: { readonly [kind: string]: Offer };
}

/** Writes the room's log. */
declare const console: import("chorus").Log & { log(...parts: unknown[]): void };
/** The room's time. */
declare const performance: { now(): number };
declare function structuredClone<T>(value: T): T;
/** For packages that need random bytes or ids. It uses the same generator as `this.random`. */
declare const crypto: {
  getRandomValues<T extends Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array>(array: T): T;
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
};
