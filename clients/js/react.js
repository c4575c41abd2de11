/**
 * React hooks for the chorus client: `import { ChorusProvider, useRoom } from "chorus-client/react"`. React 18 or newer.
 *
 * A stay in a room begins with the first component that uses it and ends after the last one: components with the same kind, options and
 * way in share one stay. The end is put off to the end of the current task, so that an effect that runs twice (`StrictMode`), or a component that
 * moves in the tree, neither leaves nor joins again. A session is in one room at a time: a stay begins when the one before it has ended. A session
 * that was resumed, after a reload of the page, may be in a room that no component uses: it is left too, unless `leave` is false.
 *
 * Bounds: one entry for each stay that is in use; none is kept for later.
 */

import { createContext, createElement, useCallback, useContext, useEffect, useReducer, useRef, useState, useSyncExternalStore } from "react";

import { Chorus, ChorusError } from "./chorus.js";

const Client = createContext(undefined);

/** Makes a client of `url` and `options`, which is closed when the provider is unmounted; or provides `client`, which is left open. */
export function ChorusProvider({ client: given, url = "/ws", options, children }) {
  // Of the first render alone: a client with another address is another session. A server that renders the page has none.
  const [made] = useState(() => (given || typeof window === "undefined" ? null : new Chorus(url, options)));
  const client = given ?? made;
  useEffect(() => {
    if (client === null) return undefined;
    client.connect();
    return client === made ? putOff(client, () => client.close()) : undefined;
  }, [client, made]);
  return createElement(Client.Provider, { value: client }, children);
}

/** The client of the nearest `ChorusProvider`; null where a server renders the page. */
export function useClient() {
  const client = useContext(Client);
  if (client === undefined) throw new Error("the hooks of chorus-client need a <ChorusProvider> around them");
  return client;
}

/** `idle`, `connecting`, `connected`, `waiting` or `closed`: renders again when that changes. */
export function useConnection() {
  const client = useClient();
  const subscribe = useCallback((changed) => {
    const offs = ["connecting", "connected", "disconnected"].map((name) => client?.on(name, changed));
    return () => offs.forEach((off) => off?.());
  }, [client]);
  return useSyncExternalStore(subscribe, () => client?.state ?? "idle", () => "idle");
}

/**
 * Joins a room for as long as a component uses it: `{ room, view, status, error, reason, send, rejoin }`. `how.by` is the client's call:
 * `joinOrCreate` (the default), `create`, or `join` with an id, a code or a name instead of the kind. `how.leave`: whether a room that no
 * component uses, and that the session is in, is left first; true by default. A `kind` of null joins none.
 */
export function useRoom(kind, options, how) {
  const client = useClient();
  const key = JSON.stringify([kind, options ?? {}, how ?? {}]);
  const stay = client === null || kind === null ? NONE : stayOf(client, key);
  return useSyncExternalStore(stay.subscribe, stay.read, NONE.read);
}

/**
 * The server's time (`client.now()`) at this render, for a countdown: renders again every `everyMs` milliseconds, and when a connection is opened.
 * It is read at each render, so that a view which causes one is not compared with the time of the tick before it.
 */
export function useNow(everyMs = 1_000) {
  const client = useClient();
  const [, tick] = useReducer((ticks) => ticks + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, everyMs), off = client.on("connected", tick);
    return () => (clearInterval(timer), off());
  }, [client, everyMs]);
  return client?.now() ?? Date.now();
}

const same = (value) => value;

/**
 * A part of the room's view: renders again when `select` gives something else, by `isEqual`. Undefined while there is no room. `select` is called
 * for each new view, and for each new function.
 */
export function useView(room, select = same, isEqual = Object.is) {
  const last = useRef(null);
  const subscribe = useCallback((changed) => room?.onView(changed) ?? nothing, [room]);
  const read = () => {
    if (!room) return undefined;
    const { view } = room, before = last.current?.room === room ? last.current : null;
    if (before?.view === view && before.select === select) return before.selected;
    const selected = select(view);
    const kept = before !== null && isEqual(before.selected, selected) ? before.selected : selected;
    last.current = { room, view, select, selected: kept };
    return kept;
  };
  return useSyncExternalStore(subscribe, read, read);
}

/** Calls the component's latest `listener` for each event of this type. */
export function useEvent(room, type, listener) {
  const latest = useRef(listener);
  useEffect(() => { latest.current = listener; });
  useEffect(() => room?.on(type, (data) => latest.current(data)), [room, type]);
}

// ---- Stays ----

/** By client: its stays by key, and the promise that resolves when the one before has ended. */
const known = new WeakMap();

function stayOf(client, key) {
  if (!known.has(client)) known.set(client, { stays: new Map(), free: Promise.resolve() });
  const { stays } = known.get(client);
  return stays.get(key) ?? new Stay(client, key);
}

class Stay {
  #client; #key;
  #listeners = new Set();
  #enter = null;
  #offs = [];
  #state;

  constructor(client, key) {
    this.#client = client;
    this.#key = key;
    this.#state = { room: null, view: undefined, status: "joining", error: null, reason: null, send: this.#send, rejoin: this.#rejoin };
  }

  read = () => this.#state;

  subscribe = (changed) => {
    // Only a stay in use is known to others: a render whose result is thrown away leaves nothing.
    const { stays } = known.get(this.#client);
    const stay = stays.get(this.#key) ?? this;
    if (stay !== this) return this.#follow(stay, changed);
    stays.set(this.#key, this);
    this.#listeners.add(changed);
    if (this.#enter === null) this.#begin();
    const off = putOff(this, () => this.#end());
    return () => {
      this.#listeners.delete(changed);
      off();
    };
  };

  /** Two components have rendered at once before either was in use: the second has the stay of the first. */
  #follow(stay, changed) {
    const copy = () => {
      this.#state = stay.read();
      changed();
    };
    const off = stay.subscribe(copy);
    copy();
    return off;
  }

  #begin() {
    const [kind, options, { by = "joinOrCreate", leave = true, ...how }] = JSON.parse(this.#key);
    const enter = (this.#enter = new AbortController());
    const { signal } = enter;
    const go = () => (signal.aborted ? Promise.reject(signal.reason) : call(this.#client, by)(kind, options, { ...how, signal }));
    this.#set({ room: null, view: undefined, status: "joining", error: null, reason: null });
    // Stays that end in the same task have ended by then.
    Promise.resolve()
      .then(() => known.get(this.#client).free)
      .then(go)
      .catch((error) => (error.code === "elsewhere" && leave && !this.#isOfAnother(this.#client.room) ? this.#client.room.leave({ signal }).then(go) : Promise.reject(error)))
      .then((room) => this.#joined(room, signal), (error) => { if (!signal.aborted) this.#set({ status: "failed", error }); });
  }

  /** Whether a component is in this room by another stay: the page wants two rooms at once, and neither may take the session from the other. */
  #isOfAnother(room) {
    return room === null || [...known.get(this.#client).stays.values()].some((stay) => stay !== this && stay.read().room === room);
  }

  #joined(room, signal) {
    if (signal.aborted) return;
    if (room.left !== null) return this.#set({ status: "left", reason: room.left });
    this.#offs = [
      room.onView((view) => this.#set({ view })),
      room.onLeft((reason) => this.#set({ status: "left", reason })),
      // A session that the server no longer has is in no room, and gets no `left`.
      this.#client.on("connected", () => { if (room.left === "reset") this.#set({ status: "left", reason: "reset" }); }),
    ];
    this.#set({ room, view: room.view, status: "joined" });
  }

  #end() {
    const client = known.get(this.#client);
    const { room } = this.#state;
    client.stays.delete(this.#key);
    this.#enter.abort();
    this.#enter = null;
    this.#offs.splice(0).forEach((off) => off());
    // A refusal to leave is that of the next stay, which leaves once more.
    if (room !== null && room.left === null && this.#client.state !== "closed") client.free = room.leave().then(nothing, nothing);
  }

  #set(changes) {
    this.#state = { ...this.#state, ...changes };
    for (const changed of [...this.#listeners]) changed();
  }

  #send = (...message) => this.#state.room?.send(...message) ?? Promise.reject(new ChorusError("not_in_room", "the room is not joined yet: wait for the status \"joined\""));

  #rejoin = () => {
    if (this.#enter === null || (this.#state.status !== "left" && this.#state.status !== "failed")) return;
    this.#offs.splice(0).forEach((off) => off());
    this.#begin();
  };
}

/** No room is wanted, or there is no page. */
const NONE = {
  state: {
    room: null, view: undefined, status: "idle", error: null, reason: null, rejoin: nothing,
    send: () => Promise.reject(new ChorusError("not_in_room", "no room is joined")),
  },
  subscribe: () => nothing,
  read: () => NONE.state,
};

function call(client, by) {
  if (by !== "joinOrCreate" && by !== "create" && by !== "join") throw new TypeError(`useRoom: by is "joinOrCreate", "create" or "join", not ${JSON.stringify(by)}`);
  return client[by].bind(client);
}

const uses = new WeakMap();

/** Counts a use, and returns what ends it: `action` runs at the end of the task if there is no use by then. */
function putOff(used, action) {
  uses.set(used, (uses.get(used) ?? 0) + 1);
  return () => {
    uses.set(used, uses.get(used) - 1);
    queueMicrotask(() => { if (uses.get(used) === 0 && uses.delete(used)) action(); });
  };
}

function nothing() {}
