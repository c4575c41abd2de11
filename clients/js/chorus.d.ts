// Types of `chorus.js`, where everything is explained.

export type Listener<Details extends unknown[]> = (...details: Details) => void;

/** One RFC 6902 operation, of those that a room sends. */
export type Operation = { op: "add" | "replace"; path: string; value: unknown } | { op: "remove"; path: string };

export declare function applyPatch<Document = unknown>(document: unknown, operations: readonly Operation[]): Document;

/** What the server refuses with (`ErrorCode` in docs/protocol.md). */
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
  | "applied"
  | "unavailable";

/** What the client refuses with, or reports by an `error` event. */
export type ClientCode = "applied" | "reset" | "offline" | "busy" | "closed" | "invalid" | "gap" | "bad_patch" | "bad_frame";

export declare class ChorusError extends Error {
  constructor(code: string, message: string, retryAfterMs?: number, options?: { cause?: unknown });
  readonly name: "ChorusError";
  /** A `ServerCode`, a `ClientCode`, or a code that is newer than this client. */
  readonly code: ServerCode | ClientCode | (string & {});
  readonly retryAfterMs: number | undefined;
}

export interface RoomEvents<View> {
  event: [type: string, data: any];
  view: [view: View];
  left: [reason: string];
}

export declare class Room<View = any> {
  private constructor();
  readonly id: string;
  readonly kind: string;
  /** Replaced, never changed: parts that are the same are the same objects. */
  readonly view: View;
  readonly seq: number;
  readonly left: string | null;
  on<Name extends keyof RoomEvents<View>>(name: Name, listener: Listener<RoomEvents<View>[Name]>): () => void;
  /** `data` is whatever `JSON.stringify` makes JSON of, as it is now. Rejects with `invalid` what cannot be sent. */
  send<Reply = unknown>(type: string, data?: unknown): Promise<Reply>;
}

export interface Connected {
  session: string;
  player: string;
  name: string | null;
  /** Whether this is the session of before. */
  recovered: boolean;
}

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
  /** The server no longer knew the session: rooms and messages of before are gone. */
  reset: [];
  /** Another tab has the session that this tab was copied with: a new player follows. */
  duplicate: [];
  /** The session has come into a room, and `client.room` is it. */
  room: [room: Room];
  left: [room: Room, reason: string];
  /** What no `send` ends with: a failed move, a gap, a patch that does not fit. */
  error: [error: ChorusError];
  /** Every frame, for those who want to look. */
  frame: [details: { out: boolean; frame: Frame }];
}

/** What is used of a WebSocket: that of browsers, of Node from 22 on, of the package `ws`. */
export interface WebSocketLike {
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface Options {
  /** What an anonymous player is called, 1 to 32 characters. */
  name?: string;
  /** Proves who the player is, where the server asks for it. */
  token?: string;
  WebSocket?: new (url: string, protocol: string) => any;
  /** Where the session outlives a reload: `sessionStorage` unless told; `null` for nowhere. */
  storage?: Pick<Storage, "getItem" | "setItem"> | null;
  retry?: { baseMs?: number; maxMs?: number };
  stableMs?: number;
  connectMs?: number;
  answerMs?: number;
  probeMs?: number;
  limit?: number;
}

export interface EnterOptions {
  /** More for the lobby's `find`, besides `kind`. */
  data?: { [key: string]: unknown };
  /** Ends the wait, as by `AbortSignal.timeout(60_000)`: the lobby is told `cancel`, and the promise rejects with its reason. */
  signal?: AbortSignal;
}

export type State = "idle" | "connecting" | "connected" | "waiting" | "closed";

export declare class Chorus {
  /** `url` may be relative to the page, and `http` stands for `ws`. */
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
  on<Name extends keyof ChorusEvents>(name: Name, listener: Listener<ChorusEvents[Name]>): () => void;
  connect(): void;
  /** After 4504: takes the session back from the tab that has it. */
  playHere(): Promise<void>;
  /** Does not wait for the next attempt; a connection that is there is asked whether it lives. */
  retryNow(): void;
  close(): void;
  /** To be called when not connected. */
  forget(name?: string | null): void;
  /**
   * Asks the lobby for a room of this kind, and resolves with it once the session is in it, however long that takes. Rejects
   * with the lobby's refusal, or with `failed`, `elsewhere` or `closed`.
   */
  enter<View = any>(kind: string, options?: EnterOptions): Promise<Room<View>>;
  send<Reply = unknown>(type: string, data?: unknown): Promise<Reply>;
}
