/**
 * What a room's script imports as `"chorus"`.
 *
 * A room is a class that extends {@link Room}. Its hooks and handlers run one at a time and to their end; what they make
 * of `this.state`, and what they ask for, takes effect when they return, and none of it when they throw.
 */
declare module "chorus" {
  /** Plain data: all that a room keeps, sends or takes. */
  export type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };

  /** The room that every session joins first. `player.moveTo("lobby")` means it too. */
  export const LOBBY: string;

  /** Why a member is one no longer. */
  export type LeaveReason = "left" | "moved" | "timed-out" | "kicked";

  /** Why there is a new instance of a room that has lived before. Only at `"swapped"` may a room change anything. */
  export type RestoreReason = "recovered" | "woken" | "swapped" | "faulted";

  /** A member of the room: a session, and the player whose it is. Known until it has left. */
  export interface Player<Data = any> {
    /** The player's identity, checked by the edge. With two tabs, two sessions have the same. */
    readonly id: string;
    /** The seat in the system: 32 hexadecimal digits. It outlives a lost connection. */
    readonly session: string;
    readonly name: string;
    /** False while the seat is held for a player whose connection is gone. */
    readonly connected: boolean;
    readonly spectator: boolean;
    /**
     * Plain data of yours about this member. It survives with the room, and goes when the member leaves. No other property
     * of a player can be set.
     */
    data: Data;
    /** Sends this member an event. */
    send(type: string, data?: unknown): void;
    /**
     * Moves the member to another room, over the same connection. It stays a member until the other room has let it in;
     * then `onLeave(player, "moved")` runs, or else `onMoveFailed`.
     */
    moveTo(room: string, options?: unknown): void;
    /** Closes the member's session. */
    kick(reason?: string): void;
  }

  /** The members, connected or held, in the order of joining. Iterating gives the players. */
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

  /** The room's chance: the same in a replay, different in every room and every call. */
  export interface Random {
    /** From 0 up to, and without, 1. `Math.random` is this too. */
    float(): number;
    /** A whole number from 0 up to, and without, `n`. */
    int(n: number): number;
    /** One of the list's; undefined when it is empty. */
    pick<T>(list: readonly [T, ...T[]]): T;
    pick<T>(list: readonly T[]): T | undefined;
    /** A mixed copy. */
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
     * Creates a room, and gives its id at once. When it ends, or cannot be created, `onRoomEnd` runs.
     *
     * It takes one of the rooms that this one may have, and as many more as `rooms` hands down for it to create in turn: 0
     * when that is left out. It throws when so many are not left.
     */
    create(kind: string, options?: unknown, handDown?: { rooms?: number }): string;
    /** How many rooms this one may still create. In the lobby, which has a rate instead, `Infinity`. */
    readonly left: number;
    /** Sends a room a message, for its `onRoomMessage`. */
    send(room: string, data?: unknown): void;
  }

  export interface Schedule {
    /** Runs `timers[name]` with `payload` in `ms` milliseconds. A timer of that name that is pending is replaced. */
    after(ms: number, name: string, payload?: unknown): void;
    cancel(name: string): void;
  }

  /** By the type of the message. What a handler returns is the reply; `this.refuse(reason)` answers with an error. */
  export type Messages<Data = any> = { [type: string]: (player: Player<Data>, data: any) => unknown };

  /** By the name of the timer. */
  export type Timers = { [name: string]: (payload: any) => void };

  /** `static config` of a room's class. */
  export interface Config {
    /** Without spectators; 0, the default, is no limit of its own. */
    maxPlayers?: number;
    /** How long the seat of a player whose connection is gone is held. 60. */
    reconnectSeconds?: number;
    /** Whether the room goes on with nobody in it. */
    keepWhenEmpty?: boolean;
    /** How long it waits for somebody, when it does not. 60. */
    emptySeconds?: number;
    budget?: Budget;
  }

  /** What one room may use. What asks for more throws; what burns more is a fault: the record that caused it is skipped. */
  export interface Budget {
    fuelPerRecord?: number;
    /** Of one record that a client has caused: a message, a join, a drop, a reconnect, a leave. */
    fuelPerMessage?: number;
    memoryMiB?: number;
    outputKiB?: number;
    effectsPerRecord?: number;
    /** Pending at a time. */
    timers?: number;
    roomsPerRecord?: number;
    /** Created and not ended, at a time, those that they have created included. 16. */
    rooms?: number;
    stateKiB?: number;
    /** In a row; then the room ends. */
    faults?: number;
  }

  export abstract class Room<State = any, Data = any> {
    static config?: Config;
    /** Rises when the shape of the state changes. 1 when it is not given. */
    static stateVersion?: number;
    /** Makes a state of this version of one of version `from`. To throw is to refuse the swap. */
    static migrate?(old: any, from: number): unknown;

    /** Plain JSON data, and all that survives: other fields are constants, and cannot be set once the room is made. */
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

    /** Milliseconds since 1970: the record's time, standing still within a call. `Date` is this too. */
    now(): number;
    /** Sends every member an event, but for those in `except`: players, and sessions as 32 hexadecimal digits. */
    broadcast(type: string, data?: unknown, options?: { except?: Player | string | readonly (Player | string)[] | null }): void;
    /**
     * Answers the message or the join in hand with an error, and undoes what it has done. It throws, and holds also when
     * the script catches that.
     */
    refuse(reason: string): never;
    /** No more joins are let in, but for members that come back. */
    lock(): void;
    unlock(): void;
    /** What lists of rooms show of this one. */
    setMetadata(data: unknown): void;
    /** Ends the room after this call. The room that created it receives the outcome. */
    end(outcome?: unknown): void;

    onCreate?(options: any): void;
    /** Whether the player may come in. `player.spectator` says that all players' seats are taken. */
    onJoinAttempt?(player: Player<Data>, options: any): boolean | "spectator";
    onJoin?(player: Player<Data>, options: any): void;
    /** The player's connection is gone; its seat is held. */
    onDrop?(player: Player<Data>): void;
    onReconnect?(player: Player<Data>): void;
    /** The player has left for good, and is no longer in `this.players`. */
    onLeave?(player: Player<Data>, reason: LeaveReason): void;
    onRoomMessage?(room: string, data: any): void;
    /** A room that this one created has ended, or `failed`, or could not be created. */
    onRoomEnd?(room: string, outcome: any, failed?: string): void;
    onMoveFailed?(player: Player<Data>, room: string, reason: string): void;
    onRestore?(why: RestoreReason): void;
    onDispose?(outcome: any): void;

    /**
     * What members see, instead of the whole state. With one parameter it is everybody's; with two it is called for each
     * member. It runs after every call that changed the state, and should depend on nothing but its arguments.
     */
    view?(state: State, player: Player<Data>): unknown;
  }
}

/** Writes the room's log. */
declare const console: import("chorus").Log & { log(...parts: unknown[]): void };
/** The room's time. */
declare const performance: { now(): number };
declare function structuredClone<T>(value: T): T;
/** For packages that want bytes or ids: of the room's own chance, as `this.random` is. */
declare const crypto: {
  getRandomValues<T extends Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array>(array: T): T;
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
};
