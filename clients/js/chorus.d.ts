// Types of `chorus.js`. The head of that file explains the client's behavior and its error codes.

export type Listener<Details extends unknown[]> = (...details: Details) => void;

/** An RFC 6902 operation of a kind that a room sends. */
export type Operation = { op: "add" | "replace"; path: string; value: unknown } | { op: "remove"; path: string };

export declare function applyPatch<Document = unknown>(document: unknown, operations: readonly Operation[]): Document;

/** Error codes of the server (`ErrorCode` in docs/protocol.md). */
export type ServerCode =
  | "bad_frame"
  | "bad_data"
  | "bad_order"
  | "stale_id"
  | "not_in_room"
  | "rate_limited"
  | "unknown_type"
  | "refused"
  | "fault"
  | "too_costly"
  | "applied"
  | "unavailable";

/** Error codes of the client, in rejections and `error` events. */
export type ClientCode = "applied" | "no_token" | "reset" | "offline" | "busy" | "closed" | "invalid" | "gap" | "bad_patch" | "bad_frame";

/** Why a way into a room, or back, has failed; the head of `chorus.js` explains each. `refused` is a room's own reason. */
export type JoinCode = "full" | "locked" | "not_found" | "taken" | "ended" | "refused" | "failed" | "elsewhere" | "closed" | "rate_limited";

export declare class ChorusError extends Error {
  constructor(code: string, message: string, retryAfterMs?: number, options?: { cause?: unknown });
  readonly name: "ChorusError";
  /** One of these, or a code that is newer than this client. */
  readonly code: ServerCode | ClientCode | JoinCode | (string & {});
  readonly retryAfterMs: number | undefined;
}

// Of one declaration, which the room's script shares: see docs/scripting.md ("Types"), and the SDK's types, which read it by the same rules.

type DeclarationMember = "messages" | "events" | "view" | "state" | "options" | "playerData" | "timers";
type IsAny<T> = 0 extends 1 & T ? true : false;
/** Whether it is an object with named members: no list, and no map by arbitrary keys. */
type IsNamed<M> = IsAny<M> extends true ? false : M extends readonly unknown[] ? false : M extends object ? (string extends keyof M ? false : true) : false;
/** Whether it has `messages` or `events`, and nothing else than a declaration has. Other types are those of a view. */
type IsDeclaration<T> = IsAny<T> extends true ? false : [T] extends [object] ? [keyof T] extends [DeclarationMember]
  ? T extends { messages: infer M } ? IsNamed<M> : T extends { events: infer E } ? IsNamed<E> : false
  : false : false;
type Declared<T, Member extends DeclarationMember, Otherwise> = IsDeclaration<T> extends true ? T extends { [M in Member]: infer Type } ? Type : Otherwise : Otherwise;
type Open = { [name: string]: any };
type MessagesOf<T> = Declared<T, "messages", Open>;
type EventsOf<T> = Declared<T, "events", Open>;
/** Whether anything may be sent and received: nothing is declared. */
type IsOpen<Types> = string extends keyof Types ? true : false;
type Name<Types> = keyof Types & string;
/** A message is declared by its data, or by a function of its data, which returns the reply. */
type MessageData<M> = IsAny<M> extends true ? any : M extends (...data: infer Data) => unknown ? Data extends [] ? undefined : Data[0] : M;
type MessageReply<M> = IsAny<M> extends true ? unknown : M extends (...data: any) => infer Reply ? ([Reply] extends [void] ? null : Reply) : unknown;
/** What is declared as `void` or with `undefined` may be left out. */
type Given<Type> = IsAny<Type> extends true ? [data?: any] : [undefined] extends [Type] ? [data?: Type] : [Type] extends [void] ? [data?: undefined] : [data: Type];

/** The type of a room's view: that of the declaration, or of its state; or else `T` itself. */
export type ViewOf<T> = IsDeclaration<T> extends true ? Declared<T, "view", Declared<T, "state", any>> : T;
/** The type of the options for a room of this declaration. */
export type OptionsOf<T> = Declared<T, "options", RoomOptions>;
/** The name and the data of an event, as `onEvent` gives them. */
export type EventOf<T> = IsOpen<EventsOf<T>> extends true ? [type: string, data: any] : { [Type in Name<EventsOf<T>>]: [type: Type, data: EventsOf<T>[Type]] }[Name<EventsOf<T>>];

/** The message types of a room; of one without a declaration, any text. */
export type MessageTypeOf<T> = Name<MessagesOf<T>>;
/** What `send` takes after the type: nothing, or the data. For functions of one's own around `send`. */
export type MessageArgumentsOf<T, Type extends MessageTypeOf<T>> = Given<MessageData<MessagesOf<T>[Type]>>;
/** What `send` resolves with. */
export type ReplyOf<T, Type extends MessageTypeOf<T>> = IsOpen<MessagesOf<T>> extends true ? any : MessageReply<MessagesOf<T>[Type]>;

/** The data of the events of one type. */
export type EventDataOf<T, Type extends string> = IsOpen<EventsOf<T>> extends true ? any : EventsOf<T>[Type & Name<EventsOf<T>>];

/** `T` is a declaration, or the type of the view. */
export declare class Room<T = any> {
  private constructor();
  readonly id: string;
  readonly kind: string;
  /** By which others join: `client.join(code)`. Null in the lobby, and in rooms that the lobby has not moved the player to. */
  readonly code: string | null;
  /** Replaced, never changed. The new view shares its unchanged parts with the old one. */
  readonly view: ViewOf<T>;
  readonly seq: number;
  readonly left: string | null;
  /** Listens to the room's events of one type. */
  on<Data = any, Type extends Name<EventsOf<T>> = Name<EventsOf<T>>>(type: Type, listener: (data: IsOpen<EventsOf<T>> extends true ? Data : EventsOf<T>[Type]) => void): () => void;
  /** Listens to all events. This function and the next two are bound: `useSyncExternalStore(room.onView, () => room.view)`. */
  readonly onEvent: (listener: (...event: EventOf<T>) => void) => () => void;
  /** Listens to changes of `view`, from the next one on. */
  readonly onView: (listener: (view: ViewOf<T>) => void) => () => void;
  /** Listens to the end of the session's stay. */
  readonly onLeft: (listener: (reason: string) => void) => () => void;
  /** Goes back to the lobby, and resolves with it. Rejects with the room's refusal, or with `failed`, `elsewhere` or `closed`. */
  leave(options?: WaitOptions): Promise<Room>;
  /**
   * Resolves with the room's reply. `data` is any value that `JSON.stringify` accepts, and is serialized at once. Rejects with
   * `invalid` when the message cannot be sent.
   */
  send<Reply = unknown, Type extends Name<MessagesOf<T>> = Name<MessagesOf<T>>>(
    type: Type, ...data: Given<MessageData<MessagesOf<T>[Type]>>
  ): Promise<IsOpen<MessagesOf<T>> extends true ? Reply : MessageReply<MessagesOf<T>[Type]>>;
}

export interface Connected {
  session: string;
  player: string;
  name: string | null;
  /** Whether this connection resumed the previous session. */
  recovered: boolean;
}

/**
 * `code` is the connection's close code, with `reason` from the server (docs/protocol.md, "Close codes"). `willRetry` is false for 4501 (a token
 * that is not accepted, and no `getToken` for another), 4503 (kicked out by a room or an operator, banned, or logged out) and 4504 (another tab
 * or device has the session or the seat; `playHere` takes a session back). After 4029 (the connection exceeded the server's limits) and all
 * others the client connects again by itself, in `inMs` milliseconds.
 */
export type Disconnected =
  | { willRetry: true; code: number; reason: string; inMs: number }
  | { willRetry: false; code: number; reason: string; inMs: null };

export interface Frame {
  t: string;
  [member: string]: unknown;
}

export interface ChorusEvents {
  connecting: [];
  connected: [details: Connected];
  disconnected: [details: Disconnected];
  /** The server no longer had the session and made a new one: the old session's rooms and messages are dropped. */
  reset: [];
  /** The player's token ends in so many milliseconds: call `renew`, unless there is a `getToken`. */
  expiring: [details: { inMs: number }];
  /** The next token was taken. */
  renewed: [];
  /** This tab is a duplicate, and the original tab has the session: this tab connects as a new player. */
  duplicate: [];
  /** The session has joined a room, which is now `client.room`. */
  room: [room: Room];
  left: [room: Room, reason: string];
  /** Errors that belong to no `send`: a failed move, a gap, a patch that does not fit. */
  error: [error: ChorusError];
  /** Every frame that is sent or received, for debugging. */
  frame: [details: { out: boolean; frame: Frame }];
}

/** The part of a WebSocket that the client uses: that of browsers, of Node 22 or newer, or of the package `ws`. */
export interface WebSocketLike {
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface Options {
  /** The name of an anonymous player, 1 to 32 characters. */
  name?: string;
  /** Proves who the player is: a JWT of the server's issuer. Without one the player is a guest, if the server takes guests. */
  token?: string;
  /**
   * Fetches a token that is valid now: before the first connection, when the server requests the next one, and after a token has ended.
   * It may resolve with null, for a guest. A rejection is an `error` event, and is tried again.
   */
  getToken?: () => string | null | undefined | Promise<string | null | undefined>;
  WebSocket?: new (url: string, protocol: string) => any;
  /** Where the session is stored, so that it survives a reload: by default `sessionStorage`; `null` for nowhere. */
  storage?: Pick<Storage, "getItem" | "setItem"> | null;
  retry?: { baseMs?: number; maxMs?: number };
  stableMs?: number;
  connectMs?: number;
  answerMs?: number;
  probeMs?: number;
  limit?: number;
  /**
   * Whether the browser shows the server's offline page when the page is loaded while its server is gone (docs/project.md): by default true.
   * `false` also removes it where it was registered before.
   */
  offlinePage?: boolean;
}

export interface WaitOptions {
  /** Ends the wait, as in `AbortSignal.timeout(60_000)`: the promise rejects with the signal's reason, and a place in the queue is given up. */
  signal?: AbortSignal;
}

export interface JoinOptions extends WaitOptions {
  /** A stable name: 3 to 40 of a-z, 0-9 and -, which does not look like a code: `room-garden`, not `garden` (see "Into a room" in the README). */
  name?: string;
}

export interface CreateOptions extends JoinOptions {
  /** Nobody finds the room without its id, its code or its name. */
  private?: boolean;
}

/** A room's or a player's options: what `JSON.stringify` accepts. The room receives them as they are, and checks them. */
export interface RoomOptions {
  [name: string]: unknown;
}

/** A value that the lobby compares: a text of at most 64 characters, for instance. */
export type Comparable = string | number | boolean | null;

/** A public room with a free seat. */
export interface Found {
  room: string;
  code: string | null;
  /** The players that the lobby has counted; there may be fewer. */
  players: number;
  /** 0: any number. */
  maxPlayers: number;
  metadata: { [name: string]: Comparable };
  /** When the lobby has first offered it, in milliseconds since 1970. */
  since: number;
}

export type State = "idle" | "connecting" | "connected" | "waiting" | "closed";

export declare class Chorus {
  /** `url` may be relative to the page; `http` and `https` are read as `ws` and `wss`. */
  constructor(url: string | URL, options?: Options);
  readonly url: string;
  readonly state: State;
  readonly room: Room | null;
  readonly rooms: Room[];
  readonly session: string | null;
  readonly player: string | null;
  readonly name: string | null;
  readonly resumable: boolean;
  readonly gaps: number;
  readonly duplicates: number;
  readonly resumes: number;
  readonly resends: number;
  /**
   * The server's time in milliseconds since 1970, for the countdown to a time in a view: `room.view.endsAt - client.now()`. The device's clock
   * may be wrong, and this is exact to half of a round trip. Before the first connection it is the device's time; a new connection may
   * correct it, also backwards.
   */
  now(): number;
  on<Name extends keyof ChorusEvents>(name: Name, listener: Listener<ChorusEvents[Name]>): () => void;
  connect(): void;
  /** After close code 4504: takes the session back from the tab that has it. */
  playHere(): Promise<void>;
  /** Sends the player's next token, of the same player. The event `renewed` follows, or the connection is closed with 4501. */
  renew(token: string): void;
  /** Connects without waiting for the next attempt. An open connection is checked by a ping with a short deadline. */
  retryNow(): void;
  close(): void;
  /**
   * Drops the stored session: the next `connect` begins a new one, with this `name` if given. A guest stays the same guest. Call it when
   * not connected.
   */
  forget(name?: string | null): void;
  /**
   * Into a room of this kind that has a free seat, or a new one; where the kind has players wait for each other, once enough do.
   * Resolves with the room and its first view, at once if the session is in a room of the kind. Rejects with a `JoinCode`.
   *
   * `options` are those of the new room's `onCreate`, and of the player's `onJoin`. `T` is the declaration that room and client share, or the
   * type of the view.
   */
  joinOrCreate<T = any>(kind: string, options?: OptionsOf<T>, how?: JoinOptions): Promise<Room<T>>;
  /** Into a new room. */
  create<T = any>(kind: string, options?: OptionsOf<T>, how?: CreateOptions): Promise<Room<T>>;
  /** Into the room of this id, code or name; a code in any case. Resolves at once if the session is in it. */
  join<T = any>(room: string, options?: OptionsOf<T>, how?: WaitOptions): Promise<Room<T>>;
  /** The public rooms of this kind with a free seat, oldest first, at most 50. `where`: values that they must have (`static lobby`'s `match`). */
  find(kind: string, where?: { [name: string]: Comparable }): Promise<Found[]>;
  send<Reply = unknown>(type: string, data?: unknown): Promise<Reply>;
}
