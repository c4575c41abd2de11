/**
 * What a room's script imports as `"chorus"`.
 *
 * A room is a class that extends {@link Room}. Its hooks and handlers run one at a time and to completion. Their changes of
 * `this.state` and their effects are applied when they return, and none of them when they throw.
 */
declare module "chorus" {
  /** Plain data: the values that a room stores, sends and receives. */
  export type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };

  /** The id of the room that every session joins first. `player.moveTo("lobby")` names the same room. */
  export const LOBBY: string;

  /** The reason why a member has left. */
  export type LeaveReason = "left" | "moved" | "timed-out" | "kicked" | "replaced";

  /** The reason for a new instance of an existing room. Only at `"swapped"` may the room change anything. */
  export type RestoreReason = "recovered" | "woken" | "swapped" | "faulted";

  /** A member of the room: a session, and its player. Valid until the member has left. */
  export interface Player<Data = any> {
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
    data: Data;
    /** Sends this member an event. */
    send(type: string, data?: unknown): void;
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
  export interface Players<Data = any> extends Iterable<Player<Data>> {
    readonly size: number;
    get(session: string): Player<Data> | undefined;
    has(session: string): boolean;
    /** All members who are this player. */
    of(id: string): Player<Data>[];
    filter(test: (player: Player<Data>) => boolean): Player<Data>[];
    forEach(visit: (player: Player<Data>, session: string, players: Players<Data>) => void): void;
    values(): Iterator<Player<Data>>;
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
     * turn: 0 by default. Throws when too few are left.
     */
    create(kind: string, options?: unknown, handDown?: { rooms?: number }): string;
    /** How many rooms this one may still create. In the lobby, which has a rate limit instead, `Infinity`. */
    readonly left: number;
    /** Sends data to another room's `onRoomMessage`. */
    send(room: string, data?: unknown): void;
  }

  export interface Schedule {
    /** Runs `timers[name]` with `payload` in `ms` milliseconds. A timer of that name that is pending is replaced. */
    after(ms: number, name: string, payload?: unknown): void;
    cancel(name: string): void;
  }

  /** Handlers by message type. A handler's return value is the reply; `this.refuse(reason)` answers with an error. */
  export type Messages<Data = any> = { [type: string]: (player: Player<Data>, data: any) => unknown };

  /** Handlers by the name of the timer. */
  export type Timers = { [name: string]: (payload: any) => void };

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

  export abstract class Room<State = any, Data = any> {
    static config?: Config;
    /** What the default lobby does with this kind; false: clients cannot request it. True, as without it: they can. */
    static lobby?: Lobby | boolean;
    /** Raise it when the shape of the state changes. 1 by default. */
    static stateVersion?: number;
    /** Converts a state of version `from` to this version. A throw refuses the swap. */
    static migrate?(old: any, from: number): unknown;

    /** Plain JSON data, and the only field that survives. Other fields are constants, and cannot be set. */
    state: State;

    readonly id: string;
    readonly kind: string;
    /** The room that created this one. */
    readonly creator: string | null;
    readonly locked: boolean;
    readonly players: Players<Data>;
    readonly random: Random;
    readonly log: Log;
    readonly rooms: Rooms;
    readonly schedule: Schedule;

    messages?: Messages<Data>;
    timers?: Timers;

    /** Milliseconds since 1970: the record's time, constant within a call. `Date` has the same time. */
    now(): number;
    /** Sends every member an event, except those in `except`: players, or sessions as 32 hexadecimal digits. */
    broadcast(type: string, data?: unknown, options?: { except?: Player | string | readonly (Player | string)[] | null }): void;
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

    onCreate?(options: any): void;
    /**
     * Decides whether the player may join. If `player.spectator` is true, all players' seats are taken: `true` then refuses the
     * player, unless the hook has had another player `stand` up.
     */
    onJoinAttempt?(player: Player<Data>, options: any): boolean | "spectator";
    onJoin?(player: Player<Data>, options: any): void;
    /** The player's connection is lost; its seat is held. */
    onDrop?(player: Player<Data>): void;
    onReconnect?(player: Player<Data>): void;
    /**
     * A guest has signed in: `player.id` is its account's from here on, and was `oldId`. A room without this hook keeps the old
     * `player.id` until the player leaves.
     */
    onUpgrade?(player: Player<Data>, oldId: string): void;
    /** The player has left for good, and is no longer in `this.players`. */
    onLeave?(player: Player<Data>, reason: LeaveReason): void;
    /**
     * An operator erases this player, who is no member any more: remove what the state keeps of it. `id` is the player's id.
     * A room without this hook keeps what its script has stored.
     */
    onErase?(id: string): void;
    onRoomMessage?(room: string, data: any): void;
    /** A room that this one created has ended, or `failed`, or could not be created. */
    onRoomEnd?(room: string, outcome: any, failed?: string): void;
    onMoveFailed?(player: Player<Data>, room: string, reason: string): void;
    onRestore?(why: RestoreReason): void;
    onDispose?(outcome: any): void;

    /**
     * The view that members receive, instead of the whole state. With one parameter it is shared by all members; with two it is
     * called for each member. It runs after every call that changed the state, a player's data or a role, and should depend only
     * on its arguments.
     */
    view?(state: State, player: Player<Data>): unknown;
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
