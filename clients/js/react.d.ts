// Types of `react.js`, whose head explains how stays are shared. `T` is a declaration that room and page share, or the type of the view.

import type { ReactElement, ReactNode } from "react";

import type { Chorus, ChorusError, EventDataOf, EventOf, Options, OptionsOf, Room, State, ViewOf } from "./chorus.js";

type Provided =
  /** It is left open when the provider is unmounted. */
  | { client: Chorus; url?: undefined; options?: undefined }
  /** Of the first render; by default the page's own server. The client is closed when the provider is unmounted. */
  | { client?: undefined; url?: string | URL; options?: Options };

export declare function ChorusProvider(props: Provided & { children?: ReactNode }): ReactElement;

/** The client of the nearest provider. Null where a server renders the page, and nowhere else. */
export declare function useClient(): Chorus;

/** The state of the connection. */
export declare function useConnection(): State;

/** The server's time in milliseconds since 1970, as `client.now()`: renders again every `everyMs` milliseconds, 1,000 by default. */
export declare function useNow(everyMs?: number): number;

export interface How {
  /** The client's call: `joinOrCreate` by default. For `join`, the kind is an id, a code or a name. */
  by?: "joinOrCreate" | "create" | "join";
  /** A stable name, as in `JoinOptions`. */
  name?: string;
  /** As in `CreateOptions`. */
  private?: boolean;
  /**
   * Whether a room that the session is in from before, as after a reload with another address, is left first: true by default. With false, `error`
   * has the code `elsewhere`. A room that another component uses is never left for this one.
   */
  leave?: boolean;
}

export interface Stay<T = any> {
  /** Null before it is joined. */
  readonly room: Room<T> | null;
  /** The present view; undefined before the room is joined. */
  readonly view: ViewOf<T> | undefined;
  /** `idle`: the kind is null. `failed`: see `error`. `left`: the session is in the room no more; see `reason`. */
  readonly status: "idle" | "joining" | "joined" | "left" | "failed";
  readonly error: ChorusError | null;
  readonly reason: string | null;
  /** As `room.send`. Rejects with `not_in_room` before the room is joined. The same function in each render. */
  readonly send: Room<T>["send"];
  /** Joins again, after `left` or `failed`. */
  readonly rejoin: () => void;
}

/**
 * Joins a room for as long as a component uses it, and leaves it afterwards. Components with the same kind, options and way in share one stay; other
 * options are another room, after the first one is left. Both are compared as JSON. A session is in one room at a time.
 */
export declare function useRoom<T = any>(kind: string | null, options?: OptionsOf<T>, how?: How): Stay<T>;

/** A part of the room's view: renders again only when it is another, by `isEqual` (`Object.is` by default). */
export declare function useView<T>(room: Room<T> | null): ViewOf<T> | undefined;
export declare function useView<T, Selected>(room: Room<T> | null, select: (view: ViewOf<T>) => Selected, isEqual?: (a: Selected, b: Selected) => boolean): Selected | undefined;

/** Calls the listener of the latest render for each event of this type. */
export declare function useEvent<T, Type extends EventOf<T>[0]>(room: Room<T> | null, type: Type, listener: (data: EventDataOf<T, Type>) => void): void;
