/**
 * The chorus client, for browsers and Node: one session, which survives its connections.
 *
 *     const client = new Chorus("/ws", { name: "Ana" });
 *     client.connect();
 *     const game = await client.joinOrCreate("tic-tac-toe");
 *     game.onView(draw);
 *     game.on("moved", ({ cell }) => flash(cell));
 *     await game.send("move", { cell: 4 });
 *
 * The protocol is `v1.json.chorus` (docs/protocol.md). The client's own behavior:
 * - After a lost connection the client reconnects and resumes its session: it is in the same rooms, receives the frames that
 *   it missed, and sends every unanswered message again under its old id, so that each is applied once.
 * - A connection can be lost without being closed. When no frame has arrived for `pingMs` (set by the server in `welcome`), the
 *   client sends a ping; when none arrives for half of that time, it drops the connection. So it reconnects within 1.5 x
 *   `pingMs`. When the page is shown again or the network returns, it sends a ping at once, with a short deadline.
 * - Frames are numbered by `seq`. A frame that arrives twice is dropped. A missing frame is a bug of the server: it is counted
 *   in `gaps` and reported by an `error` event, and the client reconnects to receive it.
 * - A player with an account has a token, from `options.token` or `options.getToken`. Before it ends, the server requests the next one
 *   (event `expiring`): `getToken` is called, or the program calls `client.renew(token)`. The session goes on meanwhile.
 * - A player without one is a guest. In a browser it is the same guest for days: the tab that is opened first uses the guest that the
 *   browser has stored, and further tabs are guests of their own. A guest that signs in keeps its session.
 * - A device's clock may be wrong. `now()` is the server's time: `welcome` has it, and the client keeps the difference.
 * - A `send` resolves with the reply or rejects with a `ChorusError`. A refusal by the room has the server's code. The
 *   client's own codes are:
 *     applied   the room has handled the message, and its answer is lost. The answer may have been a refusal, so this is
 *               no success: look at the view
 *     reset     the server no longer has the session; whether the message was applied is unknown
 *     offline   too many messages are waiting for a connection; this one was not accepted
 *     busy      too many messages are waiting for an answer; this one was not accepted
 *     closed    the client was closed, or the server has closed the connection for good
 *     invalid   the message cannot be sent: its type, data or size exceeds a limit of the server. Nothing was sent or kept
 * - `joinOrCreate`, `create`, `join` and `Room.leave` resolve when the session is in the room, with the room's first view. They wait
 *   for as long as that takes, also through lost connections; `signal` ends the wait. Their own codes are:
 *     full      no seat is free, or no place in the lobby's queue
 *     locked    the room admits no further members
 *     not_found there is no room of that id, code or name
 *     taken     there is a room of that name already
 *     ended     the room has ended
 *     failed    the room could not be created, or the move to the lobby failed
 *     elsewhere the session is in a room that is neither the wanted one nor the lobby: leave it first
 *   and `refused` with the reason of a room, or of the lobby.
 */

const PROTOCOL = "v1.json.chorus";

/** The room that every session joins first. */
const LOBBY = "00000000000000000000000000010bb7";

/** Close codes that this client sends. To the server, each is a lost connection, and the session can be resumed. */
const CLOSED_GAP = 3001;
const CLOSED_SILENT = 3002;
/** The server's: too many messages, too many connections, a token that has ended or is not valid, a session ended by a room, a session with a newer connection. */
const CLOSED_TOO_FAST = 4029;
const CLOSED_TOO_MANY = 4030;
const CLOSED_UNAUTHORIZED = 4501;
const CLOSED_KICKED = 4503;
const CLOSED_REPLACED = 4504;
/** The server's: not this protocol. */
const CLOSED_BAD_FRAME = 4506;
/** Reported to the program only, when no connection could be opened. */
const CLOSED_UNUSABLE = 3003;

/** The server's limits (docs/protocol.md, "Limits"). `send` rejects messages beyond them, so that no frame is refused. */
const MAX_FRAME_BYTES = 64 * 1024;
const MAX_TYPE_BYTES = 64;
/** The server's limits on the JSON of a whole frame. */
const MAX_DEPTH = 64;
const MAX_VALUES = 4_096;
const MAX_MEMBERS = 1_024;
const MAX_NAMES = 256;
const MAX_NAME_BYTES = 128;
const MAX_NUMBER = 64;
const MAX_EXTREME = 32;

/** The server's default, used when `welcome` has no `pingMs`. */
const PING_MS = 8_000;
/** After a failure to get the next token, it is tried again after this time. */
const RENEW_AGAIN_MS = 2_000;
/** The upper bound of `pingMs`: in a browser, a timer with too long a delay fires at once. */
const MAX_PING_MS = 3_600_000;

const DEFAULTS = {
  /** The first attempt after a loss is immediate, the second after about `baseMs`, then doubling up to `maxMs`. */
  retry: { baseMs: 500, maxMs: 15_000 },
  /** After a connection of this length, the next loss starts with the first attempt again. */
  stableMs: 2_000,
  /** The time from opening a socket to `welcome`. */
  connectMs: 10_000,
  /** After this time without an answer to a message, the client reconnects, even if the edge answers pings. */
  answerMs: 20_000,
  /** How long a connection that may be lost has to answer a ping: a phone's radio needs up to 2 s to become active. */
  probeMs: 2_000,
  /** The most messages without an answer, sent or not. */
  limit: 256,
  /** Whether the browser shows the server's offline page while the server is gone. */
  offlinePage: true,
};

/** The refusal of a message, or another failure. `code` is for programs, `message` for humans. */
export class ChorusError extends Error {
  constructor(code, message, retryAfterMs, options) {
    super(message, options);
    this.name = "ChorusError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Applies RFC 6902 operations (`add`, `remove`, `replace`; the others are never sent) and returns the new document. The
 * old document is unchanged, and the two share all untouched parts, so a listener may compare them by identity.
 */
export function applyPatch(document, operations) {
  const copies = new Set();
  return operations.reduce((doc, op) => applyAt(doc, pointer(op.path), op, copies), document);
}

function pointer(path) {
  if (path === "") return [];
  if (typeof path !== "string" || path[0] !== "/") throw new ChorusError("bad_patch", `not a JSON pointer: ${path}`);
  return path
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** `copies` are the parts that this patch has copied: each part is copied once, however many operations change it. */
function applyAt(node, tokens, operation, copies) {
  if (tokens.length === 0) return applyToRoot(operation);
  if (node === null || typeof node !== "object") throw badPatch(operation);
  const copy = copies.has(node) ? node : Array.isArray(node) ? node.slice() : { ...node };
  copies.add(copy);
  const [token, ...rest] = tokens;
  if (rest.length === 0) {
    if (Array.isArray(copy)) applyToArray(copy, token, operation);
    else applyToObject(copy, token, operation);
  } else {
    if (!Object.hasOwn(copy, token)) throw badPatch(operation);
    setMember(copy, token, applyAt(copy[token], rest, operation, copies));
  }
  return copy;
}

function applyToRoot(operation) {
  if (operation.op === "remove") return null;
  if (operation.op === "add" || operation.op === "replace") return operation.value;
  throw badPatch(operation);
}

function applyToArray(array, token, operation) {
  const index = token === "-" ? array.length : Number(token);
  const end = operation.op === "add" ? array.length : array.length - 1;
  if (!/^(-|0|[1-9]\d*)$/.test(token) || index > end) throw badPatch(operation);
  if (operation.op === "add") array.splice(index, 0, operation.value);
  else if (operation.op === "remove") array.splice(index, 1);
  else if (operation.op === "replace") array[index] = operation.value;
  else throw badPatch(operation);
}

function applyToObject(object, token, operation) {
  const exists = Object.hasOwn(object, token);
  if (operation.op === "add" || (operation.op === "replace" && exists)) setMember(object, token, operation.value);
  else if (operation.op === "remove" && exists) delete object[token];
  else throw badPatch(operation);
}

/** Assignment to `__proto__` would set the prototype; in a view, every key is data. */
function setMember(object, key, value) {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function badPatch(operation) {
  return new ChorusError("bad_patch", `${operation.op} ${operation.path} does not fit the view`);
}

/** Named listeners. An exception in one is reported as uncaught and does not affect the others. */
class Emitter {
  #listeners = new Map();

  /** Returns a function that removes the listener. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.#listeners.get(name)?.delete(listener);
  }

  /** @internal */
  has(name) {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** @internal */
  emit(name, ...details) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...details);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/**
 * A room as this session sees it. It is the same object for as long as the session is in the room. `onView`, `onEvent` and
 * `onLeft` are bound, so they can be passed on as they are: `useSyncExternalStore(room.onView, () => room.view)`.
 */
export class Room extends Emitter {
  #client;

  constructor(client, id) {
    super();
    this.#client = client;
    this.id = id;
    this.kind = "";
    /** What this player sees of the room's state. Replaced, never changed. */
    this.view = null;
    /** The `seq` of the last frame. */
    this.seq = 0;
    /** The reason why the session is no longer in the room, or null. */
    this.left = null;
    /** @internal Frames were missing; see `Chorus.#gap`. */
    this.suspect = false;
    /** @internal Stays are numbered in the order in which they begin. During a move the session is in two rooms, and on its way out of the older stay. */
    this.stay = 0;
  }

  /** The short code by which others join: `client.join(code)`. Null in the lobby, and in rooms that the lobby has not moved the player to. */
  get code() {
    return this.#client.placeOf(this.id)?.code ?? null;
  }

  /** Listens to the room's events of one type. Returns a function that removes the listener. */
  on(type, listener) {
    return super.on(`event ${type}`, listener);
  }

  /** Listens to all events: `(type, data)`. */
  onEvent = (listener) => super.on("event", listener);

  /** Listens to changes of `view`, from the next one on. */
  onView = (listener) => super.on("view", listener);

  /** Listens to the end of the session's stay: `(reason)`. */
  onLeft = (listener) => super.on("left", listener);

  /** Resolves with the room's reply. */
  send(type, data) {
    return this.#client.sendTo(this, type, data);
  }

  /** Goes back to the lobby, and resolves with it. Rejects with the room's refusal, or with `failed`, `elsewhere` or `closed`. */
  leave(options) {
    return this.#client.leave(this, options);
  }

  /** @internal */
  event(type, data) {
    this.emit("event", type, data);
    this.emit(`event ${type}`, data);
  }
}

/** How long another tab has to answer that it has a session. */
const TAB_MS = 250;

/**
 * Which tab has a session. A duplicated tab starts with a copy of `sessionStorage`, so a stored session is claimed before it
 * is resumed: by a lock, which a browser grants to one tab and releases when that tab is closed. A page that was not loaded
 * over TLS or from loopback has no locks: there, a tab queries the other tabs.
 */
class Tabs {
  #name;
  #locks;
  #channel = null;
  #Channel;
  #held = null;
  /** The session of the latest lock request: a lock that is granted for another one is released. */
  #wanted = null;
  #unlock = null;
  #answers = new Map();
  #handOver;

  constructor(name, { BroadcastChannel, locks }, handOver) {
    this.#name = name;
    this.#Channel = BroadcastChannel;
    this.#locks = locks;
    this.#handOver = handOver;
  }

  holds(session) {
    return this.#held === session;
  }

  /** Resolves with true when no other tab has this session. Then this tab has it. */
  async claim(session) {
    if (this.#held === session) return true;
    this.#wanted = session;
    const free = this.#locks ? await this.#lock(session) : (await this.#query("who", session)) === null;
    if (free && this.#wanted === session) this.#keep(session);
    return free;
  }

  /** Takes a session that no other tab has. */
  hold(session) {
    if (this.#held === session) return;
    this.release();
    this.#keep(session);
    if (this.#locks) this.#lock(session);
  }

  release() {
    this.#held = null;
    this.#wanted = null;
    this.#unlock?.();
    this.#unlock = null;
    this.#channel?.close();
    this.#channel = null;
  }

  /** Resolves with the token and the last id from the tab that has the session, which then closes; null when no tab has it. */
  take(session) {
    return this.#query("take", session);
  }

  #keep(session) {
    this.#held = session;
    this.#listen();
  }

  /** Waits a while for the lock: a reloaded page requests it before the browser has released the lock of the previous page. */
  #lock(session) {
    this.#wanted = session;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), TAB_MS);
    return new Promise((resolve) => {
      const keep = (unlock) => (clearTimeout(timer), (this.#unlock = unlock), resolve(true));
      const held = () => (this.#wanted === session ? new Promise(keep) : resolve(false));
      // Where locks are forbidden no tab has one.
      const failed = (error) => (clearTimeout(timer), resolve(error?.name !== "AbortError"));
      this.#locks.request(`${this.#name} ${session}`, { signal: late.signal }, held).catch(failed);
    });
  }

  #query(question, session) {
    const channel = this.#listen();
    if (!channel) return Promise.resolve(null);
    return new Promise((resolve) => {
      const answer = (kept) => (clearTimeout(timer), this.#answers.delete(session), resolve(kept));
      const timer = setTimeout(() => answer(null), TAB_MS);
      this.#answers.set(session, answer);
      channel.postMessage({ question, session });
    });
  }

  #listen() {
    if (this.#channel || !this.#Channel) return this.#channel;
    this.#channel = new this.#Channel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#onMessage(data);
    this.#channel.unref?.(); // It would keep a Node process alive.
    return this.#channel;
  }

  #onMessage({ question, answer, session }) {
    if (answer !== undefined) return this.#answers.get(session)?.(answer);
    if (session !== this.#held) return;
    const channel = this.#channel;
    // Posted before this tab releases the session, which closes its channel.
    if (question === "who") channel.postMessage({ session, answer: {} });
    else if (question === "take") this.#handOver((kept) => channel.postMessage({ session, answer: kept }));
  }
}

/**
 * The guest of this browser: of the tabs that are open, the first one uses it, and the others are guests of their own. The tab has it by a
 * lock, until it is closed. A page that was not loaded over TLS or from loopback has no locks, and so a new guest each time.
 */
class BrowserGuest {
  #name;
  #locks;
  #storage;
  /** Whether this tab has it; null until that is known. */
  #held = null;
  #unlock = null;

  constructor(name, locks, storage) {
    this.#name = name;
    this.#locks = locks;
    this.#storage = storage;
  }

  get isKnown() {
    return this.#held !== null;
  }

  /** Waits a while for the lock, like `Tabs.#lock`. */
  async claim() {
    if (this.isKnown) return;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), TAB_MS);
    this.#held = await new Promise((resolve) => {
      const held = () => (resolve(true), new Promise((unlock) => (this.#unlock = unlock)));
      this.#locks.request(this.#name, { signal: late.signal }, held).catch(() => resolve(false));
    });
    clearTimeout(timer);
  }

  /** The page is hidden for good, or kept by the browser, which it is not while it has a lock. */
  release() {
    this.#unlock?.();
    this.#unlock = null;
    this.#held = null;
  }

  get token() {
    try {
      return this.#held ? this.#storage.getItem(this.#name) : null;
    } catch {
      return null;
    }
  }

  /** `null`: the guest has signed in. */
  keep(token) {
    if (!this.#held) return;
    try {
      if (token === null) this.#storage.removeItem(this.#name);
      else this.#storage.setItem(this.#name, token);
    } catch {
      // Full or forbidden: the next session is a new guest's.
    }
  }
}

/** A call that waits for the session to be in a room, and ends with the client or by a signal. */
class Way {
  client;
  #settle;
  #off = [];
  isOver = false;

  constructor(client, { signal } = {}, settle) {
    this.client = client;
    this.#settle = settle;
    if (signal?.aborted) return void this.fail(signal.reason);
    const abort = () => (this.canceled(), this.fail(signal.reason));
    signal?.addEventListener("abort", abort);
    this.until(() => signal?.removeEventListener("abort", abort));
    this.until(client.on("room", (room) => this.onRoom(room)));
  }

  /** Calls `off` at the end. */
  until(off) {
    this.#off.push(off);
  }

  canceled() {}

  fail(error) {
    this.#end(() => this.#settle.reject(error));
  }

  arrive(room) {
    this.#end(() => this.#settle.resolve(room));
  }

  #end(settle) {
    if (this.isOver) return;
    this.isOver = true;
    for (const off of this.#off) off();
    this.#settle.done(this);
    settle();
  }
}

/** Another room may have a seat: the request is repeated once. */
const REPEATED = new Set(["full", "locked", "ended", "not_found"]);
/** A message that was refused in these ways is followed by a `room` frame, or its request was handled. */
const MOOT = new Set(["reset", "closed", "not_in_room"]);

/**
 * The way into a room: a request of the lobby, whose answer names the room, and the session's move. A lobby may drop the request of a
 * player whose connection was lost, so a request that waits is repeated on each `connected` event in the lobby.
 */
class Entry extends Way {
  #type;
  #data;
  #isWanted;
  /** The lobby that received the latest request, and the room that it has named. */
  #lobby = null;
  #room = null;
  #waits = false;
  #failures = 0;

  /** `isWanted`: whether a room that the session is in already ends the way. */
  constructor(client, { type, data, isWanted }, options, settle) {
    super(client, options, settle);
    this.#type = type;
    this.#data = data;
    this.#isWanted = isWanted;
    if (this.isOver) return;
    this.until(client.on("connected", () => this.#onConnected()));
    this.until(client.on("left", (room) => room === this.#lobby && this.#onLobbyLeft()));
    // The current room alone: the session is leaving the others.
    if (client.room) this.onRoom(client.room);
  }

  onRoom(room) {
    if (this.#room === null ? this.#isWanted(room) || this.#fits(room) : room.id === this.#room) return this.arrive(room);
    if (room.id !== LOBBY) return this.fail(elsewhere(room));
    if (room === this.#lobby) return;
    this.#lobby = room;
    this.#room = null;
    this.until(room.onEvent((type, data) => this.#onEvent(type, data)));
    this.#request((error) => this.fail(error));
  }

  /** After the request, the lobby's event may have been lost that names the room. */
  #fits(room) {
    return this.#lobby !== null && room.id !== LOBBY && (this.#data.kind ?? room.kind) === room.kind;
  }

  /** After a reload in the middle of a move, the room that the session is in may have come before the lobby that it was leaving. */
  #onLobbyLeft() {
    const { room } = this.client;
    if (this.#room === null && room !== null && this.#isWanted(room)) this.arrive(room);
  }

  /**
   * Repeats the request after a reconnection. A refusal is ignored: the first request may have started the session's move. Which room it
   * goes to may have changed meanwhile.
   */
  #onConnected() {
    this.#room = null;
    if (this.#waits && this.#lobby.left === null) this.#request(() => {});
  }

  #request(refused) {
    const repeat = () => this.isOver || this.#lobby?.left !== null || this.#request(() => {});
    const onError = (error) => {
      // The answer is lost: a lobby in which the session is on its way refuses the repetition.
      if (error.code === "applied") repeat();
      else if (!MOOT.has(error.code)) refused(error);
    };
    this.#lobby.send(this.#type, this.#data).then((reply) => this.#onReply(reply), onError);
  }

  #onReply(reply) {
    const { failed, room } = reply ?? {};
    if (failed) return this.fail(new ChorusError(failed.code, failed.reason));
    this.#waits = room === undefined;
    if (room !== undefined) this.#room ??= room;
  }

  #onEvent(type, data) {
    if (type === "placed") this.#room = data?.room ?? null;
    else if (type === "failed" && (this.#room === null || data?.room === this.#room)) this.#failed(data?.code ?? "failed", data?.reason);
  }

  #failed(code, reason) {
    this.#failures += 1;
    const repeats = this.#type === "joinOrCreate" && REPEATED.has(code) && this.#failures === 1;
    if (!repeats) return this.fail(new ChorusError(code, reason ?? "the room did not let you in"));
    this.#room = null;
    this.#request((error) => this.fail(error));
  }

  canceled() {
    if (this.#lobby?.left === null) this.#lobby.send("cancel").catch(() => {});
  }
}

/** The way back to the lobby: the message `leave` of the room, and the session's move. */
class Exit extends Way {
  #from;

  constructor(client, room, options, settle) {
    super(client, options, settle);
    this.#from = room;
    if (this.isOver) return;
    const current = client.room;
    if (current !== null && current !== room && current.id !== LOBBY) return void this.fail(elsewhere(current));
    // A lobby whose stay is older is the one that the session came from: its `left` is on the way.
    if (current?.id === LOBBY && current.stay >= room.stay) return void this.arrive(current);
    if (room.left !== null) return; // The session joins the lobby.
    this.until(room.onEvent((type, data) => type === "failed" && data?.room === LOBBY && this.fail(new ChorusError("failed", data.reason))));
    room.send("leave", {}).catch((error) => error.code === "applied" || MOOT.has(error.code) || this.fail(error));
  }

  onRoom(room) {
    if (room.id === LOBBY) this.arrive(room);
    else if (room !== this.#from) this.fail(elsewhere(room));
  }
}

function elsewhere(room) {
  return new ChorusError("elsewhere", `the session is in a room of kind ${room.kind}, which is neither the wanted one nor the lobby`);
}

/** The rooms whose codes are kept: as many as a session can be in. */
const PLACES_KEPT = 8;

export class Chorus extends Emitter {
  #options;
  #tabs = null;
  #browserGuest = null;
  /** The token of the player's account, and whether it was fetched for the present connection. */
  #token = null;
  #tokenIsFresh = false;
  /** The token that proves which guest this is. */
  #guest = null;
  /** Identifies the attempt that waits for other tabs before it opens a socket; another value means that it was canceled. */
  #claim = null;
  #socket = null;
  #timers = { retry: null, connect: null, stable: null, renew: null, answer: null, ping: null, silence: null, probe: null };
  #attempts = 0;
  #pingMs = PING_MS;
  /** When this connection's `hello` was sent, by the device's clock. */
  #helloAt = 0;
  /** How far the server's clock is ahead of the device's, and how exact that is, in milliseconds; null before the first `welcome`. */
  #offset = null;
  /** Whether the next ping was brought forward since the last frame arrived, because a message was sent. */
  #hurried = false;
  /** Listens to the page, while the client is not closed. */
  #watching = null;
  /** The error with which the server refused this `hello`; the code of its close frame decides whether the client retries. */
  #refusal = null;
  #resume = null;
  #lastId = 0;
  #rooms = new Map();
  /** The number of the latest stay. */
  #stays = 0;
  /** Messages that have no id yet: they wait for a connection or for the first room. */
  #queue = [];
  /** Messages with an id and without an answer, by id, oldest first. */
  #unanswered = new Map();
  /** Pending calls of `joinOrCreate`, `create`, `join` and `leave`. */
  #ways = new Set();
  /** `{ code, name? }` of the rooms that the lobby has moved the session to, by id. */
  #places = new Map();

  constructor(url, options = {}) {
    super();
    this.url = webSocketUrl(url);
    this.#options = checked({ ...DEFAULTS, ...options, retry: { ...DEFAULTS.retry, ...options.retry } });
    /** "idle", "connecting", "connected", "waiting" (for the next attempt) or "closed". */
    this.state = "idle";
    /** The room that the session has entered last and is still in. */
    this.room = null;
    this.session = null;
    this.player = null;
    this.name = checkedName(options.name);
    this.#token = options.token ?? null;
    /** Counters: gaps in the frames, frames that arrived twice, connections that resumed the session, messages sent again. */
    this.gaps = 0;
    this.duplicates = 0;
    this.resumes = 0;
    this.resends = 0;
    this.#load();
    const { BroadcastChannel, locks } = this.#options;
    const guests = this.#guestStorage();
    if (locks && guests) this.#browserGuest = new BrowserGuest(`chorus guest ${this.url}`, locks, guests);
    if (this.#storage() && (BroadcastChannel || locks)) this.#tabs = new Tabs(`chorus ${this.url}`, this.#options, (give) => this.#handOver(give));
    keepOfflinePage(this.url, this.#options.offlinePage);
  }

  /**
   * The server's time in milliseconds since 1970, exact to half of a round trip: what a page compares with a time in a view, as the device's
   * clock may be wrong. Before the first `welcome`, the device's time. It may step back when a connection is opened.
   */
  now() {
    return Math.round(Date.now() + (this.#offset?.ms ?? 0));
  }

  /** The rooms that the session is in. */
  get rooms() {
    return [...this.#rooms.values()].filter((room) => room.left === null);
  }

  /** Whether there is a stored session that `connect` would resume. */
  get resumable() {
    return this.#resume !== null;
  }

  connect() {
    if (this.state === "connecting" || this.state === "connected") return;
    clearTimeout(this.#timers.retry);
    this.#begin();
    const copied = this.#resume && this.#tabs && this.session && !this.#tabs.holds(this.session);
    if (copied || this.#browserGuest?.isKnown === false) this.#claimAndOpen(copied);
    else this.#open();
  }

  /** After close code 4504: takes the session back from the tab that has it. */
  async playHere() {
    if (this.state !== "closed" || !this.session) return this.connect();
    const claim = this.#begin();
    const kept = await this.#tabs?.take(this.session);
    if (this.#claim !== claim) return;
    if (kept) {
      this.#resume = kept.resume;
      this.#lastId = Math.max(this.#lastId, kept.id);
    }
    this.#tabs?.hold(this.session);
    this.#open();
  }

  #begin() {
    this.state = "connecting";
    this.#refusal = null;
    this.#watchPage();
    return (this.#claim = {});
  }

  /** Claims the stored session first: it may be a copy from a duplicated tab; and the browser's guest. */
  async #claimAndOpen(copied) {
    const claim = this.#begin();
    const [free] = await Promise.all([copied ? this.#tabs.claim(this.session) : true, this.#browserGuest?.claim()]);
    if (this.#claim !== claim) return;
    if (!free) this.#beginNewSession();
    this.#open();
  }

  #beginNewSession() {
    this.#resume = null;
    this.session = null;
    this.#clearRooms();
    this.#save();
    this.emit("duplicate");
  }

  /** Hands the session to another tab and stops. The server closes this tab's connection when the other tab has resumed. */
  #handOver(give) {
    const socket = this.#socket;
    give({ resume: this.#resume, id: this.#lastId });
    this.#detach();
    this.#refused(CLOSED_REPLACED, "this player continues in another tab");
    setTimeout(() => socket?.close(1000, "taken over"), this.#options.probeMs);
  }

  /** Connects without waiting for the next attempt. An open connection is checked by a ping with a short deadline. */
  retryNow() {
    if (this.state === "waiting") this.connect();
    else if (this.state === "connected") this.#probe();
  }

  /** Closes the connection and does not reconnect. The session stays stored: a new client with the same storage resumes it. */
  close() {
    const socket = this.#socket;
    this.#detach();
    this.#stop();
    socket?.close(1000, "closed");
    this.#rejectAll("closed", "the client was closed");
  }

  /** Drops the stored session: the next `connect` begins a new one, with this `name` if given. A guest stays the same guest. */
  forget(name = this.name) {
    this.name = checkedName(name);
    this.#resume = null;
    this.session = null;
    this.#tabs?.release();
    this.#clearRooms();
    this.#save();
  }

  /** Sends the player's next token, of the same player. The event `renewed` follows, or the connection is closed with 4501. */
  renew(token) {
    if (typeof token !== "string") throw new TypeError(`token is a string, not ${describe(token)}`);
    this.#token = token;
    if (this.state === "connected") this.#transmit(JSON.stringify({ t: "renew", token }));
  }

  /**
   * Into a room of this kind: one that has a free seat, or a new one. Where the kind has players wait for each other, once enough
   * do. Resolves at once if the session is in a room of the kind. `options` are the room's when it is created, and those of the
   * player's join. `name`: into the room of this name, or a new one, which nobody finds otherwise.
   */
  joinOrCreate(kind, options = {}, { name, signal } = {}) {
    const isWanted = (room) => room.kind === kind && (name === undefined || this.placeOf(room.id)?.name === name);
    return this.#request({ type: "joinOrCreate", data: { kind, options, name }, isWanted }, signal);
  }

  /** Into a new room. `private`: nobody finds it without its id, its code (`Room.code`) or its name. */
  create(kind, options = {}, { name, private: hidden = false, signal } = {}) {
    return this.#request({ type: "create", data: { kind, options, name, private: hidden }, isWanted: () => false }, signal);
  }

  /** Into the room of this id, code or name. Resolves at once if the session is in it. */
  join(room, options = {}, { signal } = {}) {
    if (typeof room !== "string") return Promise.reject(new TypeError(`a room is named by a string, not ${describe(room)}`));
    const isWanted = ({ id }) => id === room || this.placeOf(id)?.code === asCode(room) || this.placeOf(id)?.name === room;
    return this.#request({ type: "join", data: { room, options }, isWanted }, signal);
  }

  /** The public rooms of this kind with a free seat whose values are those in `where`, oldest first, at most 50. */
  find(kind, where = {}) {
    const inGame = this.room !== null && this.room.id !== LOBBY;
    if (inGame) return Promise.reject(new ChorusError("elsewhere", "only the lobby lists rooms: leave this room first"));
    return this.sendTo(this.room, "find", { kind, where });
  }

  /** @internal */
  leave(room, options) {
    return this.#go((settle) => new Exit(this, room, options, settle));
  }

  /** @internal */
  placeOf(id) {
    return this.#places.get(id);
  }

  async #request(request, signal) {
    const room = await this.#go((settle) => new Entry(this, request, { signal }, settle));
    const { name = request.type === "join" ? request.data.room : undefined } = request.data;
    const place = this.#places.get(room.id);
    const isName = name !== undefined && name !== room.id && asCode(name) !== place?.code;
    if (place && isName) this.#keepPlace(room.id, { ...place, name });
    return room;
  }

  #go(begin) {
    if (this.state === "closed") return Promise.reject(new ChorusError("closed", "the client is closed"));
    return new Promise((resolve, reject) => {
      const way = begin({ resolve, reject, done: (ended) => this.#ways.delete(ended) });
      if (!way.isOver) this.#ways.add(way);
    });
  }

  /** The page of a room has its code also after a reload. */
  #keepPlace(id, place) {
    this.#places.delete(id);
    this.#places.set(id, place);
    for (const oldest of [...this.#places.keys()].slice(0, -PLACES_KEPT)) this.#places.delete(oldest);
    this.#save();
  }

  /** Sends to the current room; while there is none, the message waits for the first room. */
  send(type, data) {
    return this.sendTo(this.room, type, data);
  }

  /** @internal */
  sendTo(room, type, data) {
    const refusal = this.#cannotTake();
    if (refusal) return Promise.reject(refusal);
    let body;
    try {
      body = bodyOf(type, data);
    } catch (error) {
      return Promise.reject(error);
    }
    // Serializing may have run the caller's code (`toJSON`), which may have closed the client or filled the queue.
    const late = this.#cannotTake();
    if (late) return Promise.reject(late);
    return new Promise((resolve, reject) => {
      this.#queue.push({ id: 0, room, body, resolve, reject });
      this.#flush();
    });
  }

  #cannotTake() {
    if (this.state === "closed") return new ChorusError("closed", "the client is closed");
    if (this.#queue.length + this.#unanswered.size < this.#options.limit) return null;
    if (this.state === "connected") return new ChorusError("busy", "too many messages wait for an answer");
    return new ChorusError("offline", "too many messages wait for a connection");
  }

  // ---- the connection ----

  #open() {
    this.#claim = null;
    let socket;
    try {
      socket = new this.#options.WebSocket(this.url, PROTOCOL);
    } catch (error) {
      // For instance, a page loaded over https cannot open a ws connection. A retry would fail in the same way.
      return this.#refused(CLOSED_UNUSABLE, reasonOf(error));
    }
    this.#socket = socket;
    const mine = (handle) => (event) => socket === this.#socket && handle(event);
    socket.onopen = mine(() => this.#helloWithToken(socket));
    socket.onmessage = mine((event) => this.#receive(event.data));
    // Every failure ends with `close`; a listener for `error` only keeps Node from treating it as uncaught.
    socket.onerror = () => {};
    socket.onclose = mine((event) => this.#lost(event.code, event.reason));
    this.#timers.connect = setTimeout(() => this.#abandon(CLOSED_SILENT, "no welcome"), this.#options.connectMs);
    this.emit("connecting");
  }

  #helloWithToken(socket) {
    if (!this.#options.getToken || this.#token) return this.#hello();
    this.#tokenIsFresh = true;
    this.#fetchToken(socket, () => this.#hello(), () => this.#abandon(CLOSED_SILENT, "no token"));
  }

  /** Calls `getToken`. It may resolve with null: the player is a guest then. */
  async #fetchToken(socket, then, failed) {
    try {
      const token = await this.#options.getToken();
      if (socket !== this.#socket) return;
      this.#token = token ?? null;
      then();
    } catch (error) {
      if (socket !== this.#socket) return;
      this.emit("error", new ChorusError("no_token", `getToken has failed: ${reasonOf(error)}`, undefined, { cause: error }));
      failed();
    }
  }

  #hello() {
    const hello = { t: "hello" };
    // The identity is sent with `resume` too: if the session is over, the new session belongs to the same player.
    if (this.#token) hello.token = this.#token;
    // Of an account, in case its token has none.
    if (this.name) hello.name = this.name;
    const guest = this.#guest ?? this.#browserGuest?.token;
    if (guest) hello.guest = guest;
    if (this.#resume) Object.assign(hello, { resume: this.#resume, last: this.#last() });
    this.#helloAt = Date.now();
    this.#transmit(JSON.stringify(hello));
  }

  #last() {
    return Object.fromEntries(this.rooms.filter((room) => room.seq > 0).map((room) => [room.id, room.seq]));
  }

  #welcome(frame) {
    const resuming = this.#resume !== null;
    this.#clear("connect");
    this.#timers.stable = setTimeout(() => (this.#attempts = 0), this.#options.stableMs);
    this.state = "connected";
    this.#compareClocks(frame.now);
    this.#pingMs = Math.min(frame.pingMs ?? PING_MS, MAX_PING_MS);
    this.#markAlive();
    this.#resume = frame.resume;
    this.#tokenIsFresh = false;
    this.#keepGuest(frame.guest);
    this.session = frame.session;
    this.player = frame.player ?? frame.session;
    this.name = frame.name ?? this.name;
    this.#tabs?.hold(this.session);
    this.#save();
    if (resuming && frame.recovered) this.resumes += 1;
    const socket = this.#socket;
    if (resuming && !frame.recovered) this.#reset();
    if (this.#socket !== socket) return; // A listener has closed the client.
    // Unanswered messages are sent first, before a listener can send: an id that follows a higher one would be stale.
    this.#resend();
    this.#flush();
    const { session, player, name } = this;
    this.emit("connected", { session, player, name, recovered: frame.recovered });
  }

  /**
   * The server has read its clock between `hello` and `welcome`; the middle is at most half of the round trip off. Of all connections the one with
   * the shortest round trip counts, unless the latest contradicts it: then one of the two clocks was set, or it is another server's.
   */
  #compareClocks(now) {
    const roundTrip = Date.now() - this.#helloAt;
    if (now === undefined || roundTrip < 0) return; // An older server, or the device's clock was set back meanwhile.
    const latest = { ms: now + roundTrip / 2 - Date.now(), within: roundTrip / 2 };
    const best = this.#offset;
    // Both clocks count whole milliseconds.
    const contradicts = best !== null && Math.abs(latest.ms - best.ms) > latest.within + best.within + 2;
    if (best === null || contradicts || latest.within <= best.within) this.#offset = latest;
  }

  /** A tab that the browser's guest has not come to yet leaves it to the next one. */
  #keepGuest(guest) {
    const sent = this.#guest ?? this.#browserGuest?.token;
    this.#guest = guest ?? null;
    if (guest) this.#browserGuest?.keep(guest);
    else if (sent && this.#token) this.#browserGuest?.keep(null);
  }

  /** The server has made a new session: the rooms and messages of the old one are dropped. */
  #reset() {
    this.#clearRooms();
    this.#rejectAll("reset", "the server no longer has this session");
    this.emit("reset");
  }

  #lost(code, reason) {
    this.#detach();
    // Its token has ended: the next connection has another one.
    const renews = code === CLOSED_UNAUTHORIZED && this.#options.getToken && !this.#tokenIsFresh;
    if (renews) this.#token = null;
    const willRetry = renews || !(code >= 4500 && code <= 4999);
    if (!willRetry) return this.#refused(code, reason || this.#refusal?.message || "");
    // The client was too fast, so its first retry already has a long delay.
    if (code === CLOSED_TOO_FAST || code === CLOSED_TOO_MANY) this.#attempts = Math.max(this.#attempts, 3);
    const inMs = this.#nextDelay();
    this.state = "waiting";
    this.#timers.retry = setTimeout(() => this.connect(), inMs);
    this.emit("disconnected", { willRetry, code, reason, inMs });
  }

  #refused(code, reason) {
    this.#stop();
    if (code === CLOSED_KICKED) {
      this.#resume = null; // The session is over: the next `connect` makes a new one.
      this.#save();
    }
    this.#rejectAll("closed", reason || `the server closed the connection with ${code}`);
    this.emit("disconnected", { willRetry: false, code, reason, inMs: null });
  }

  /** Half of the delay is fixed and half is random, so that the clients of a failed server do not all reconnect at once. */
  #nextDelay() {
    const { baseMs, maxMs } = this.#options.retry;
    const attempt = this.#attempts++;
    if (attempt === 0) return 0;
    const full = Math.min(maxMs, baseMs * 2 ** (attempt - 1));
    return Math.round(full / 2 + (Math.random() * full) / 2);
  }

  /** Drops the connection without waiting for the server's close frame. */
  #abandon(code, reason) {
    const socket = this.#socket;
    this.#detach();
    socket?.close(code, reason.slice(0, 40)); // A close frame has 123 bytes for the reason.
    this.#lost(code, reason);
  }

  #detach() {
    this.#socket = null;
    this.#claim = null;
    for (const name of Object.keys(this.#timers)) this.#clear(name);
  }

  #clear(timer) {
    clearTimeout(this.#timers[timer]);
    this.#timers[timer] = null;
  }

  #stop() {
    this.state = "closed";
    this.#tabs?.release();
    this.#watching?.abort();
    this.#watching = null;
  }

  // ---- liveness ----

  /** A frame has arrived, so the connection is alive. */
  #markAlive() {
    this.#hurried = false;
    this.#clear("silence");
    this.#clear("probe");
    this.#schedulePing(this.#pingMs);
  }

  #schedulePing(ms) {
    this.#clear("ping");
    this.#timers.ping = setTimeout(() => this.#ping("silence", this.#pingMs / 2), ms);
  }

  /** Sends the next ping sooner after a message: the first answer, to either of them, shows that the connection is alive. */
  #pingSooner() {
    if (this.#hurried || this.#timers.silence) return;
    this.#hurried = true;
    this.#schedulePing(this.#pingMs / 4);
  }

  /** Checks a connection that may be lost: the page was hidden, or the network has changed. */
  #probe() {
    if (!this.#timers.probe) this.#ping("probe", this.#options.probeMs);
  }

  #ping(timer, withinMs) {
    this.#timers[timer] = setTimeout(() => this.#abandon(CLOSED_SILENT, "the connection is silent"), withinMs);
    this.#transmit('{"t":"ping"}');
  }

  /** Browsers only. The network's state as a page sees it is only a hint: loopback works even offline. */
  #watchPage() {
    if (this.#watching) return;
    this.#watching = new AbortController();
    const { signal } = this.#watching;
    const on = (target, name, listener) => target?.addEventListener?.(name, listener, { signal });
    on(globalThis, "offline", () => this.#probeIfConnected());
    on(globalThis, "online", () => (this.state === "connecting" ? this.#openAnew() : this.retryNow()));
    on(globalThis, "pagehide", () => (this.#tabs?.release(), this.#browserGuest?.release()));
    on(globalThis, "pageshow", ({ persisted }) => persisted && this.#onPageRestored());
    const { document } = globalThis;
    on(document, "visibilitychange", () => document.visibilityState === "visible" && this.retryNow());
  }

  /** The page was restored from the browser's cache: meanwhile another tab may have resumed the session. */
  async #onPageRestored() {
    this.#browserGuest?.claim();
    if (this.#tabs && this.session && !(await this.#tabs.claim(this.session))) {
      const socket = this.#socket;
      this.#detach();
      socket?.close(1000, "in another tab");
      return this.#refused(CLOSED_REPLACED, "this player continues in another tab");
    }
    this.retryNow();
  }

  #probeIfConnected() {
    if (this.state === "connected") this.#probe();
  }

  /** Replaces an attempt that was begun on the previous network. */
  #openAnew() {
    const socket = this.#socket;
    this.#detach();
    socket?.close(CLOSED_SILENT, "the network has changed");
    this.#open();
  }

  // ---- sending ----

  #flush() {
    while (this.state === "connected" && this.#queue.length > 0) {
      const message = this.#queue[0];
      message.room ??= this.room;
      if (!message.room) return;
      this.#queue.shift();
      message.id = ++this.#lastId;
      this.#save();
      this.#unanswered.set(message.id, message);
      this.#transmitMessage(message);
    }
  }

  #resend() {
    for (const message of this.#unanswered.values()) {
      this.resends += 1;
      this.#transmitMessage(message);
    }
  }

  #transmitMessage({ id, room, body }) {
    this.#transmit(messageText(id, room.id, body));
    this.#timers.answer ??= setTimeout(() => this.#abandon(CLOSED_SILENT, "no answer"), this.#options.answerMs);
    this.#pingSooner();
  }

  /** A closed socket drops the frame; an unanswered message is sent again over the next connection. */
  #transmit(text) {
    try {
      this.#socket?.send(text);
    } catch {
      return; // No longer open: `onclose` follows.
    }
    if (this.has("frame")) this.emit("frame", { out: true, frame: JSON.parse(text) });
  }

  // ---- receiving ----

  #receive(text) {
    const frame = parse(text);
    const socket = this.#socket;
    if (!isFrame(frame) || !this.#isInOrder(frame)) return this.#rejectFrame();
    if (this.state === "connected") this.#markAlive();
    this.emit("frame", { out: false, frame });
    if (this.#socket !== socket) return; // A listener has closed the client, or reconnected.
    if (frame.t === "welcome") this.#welcome(frame);
    else if (frame.seq !== undefined) this.#fromRoom(frame);
    else if (frame.t === "expiring") this.#expiring(frame.inMs);
    else if (frame.t === "renewed") this.emit("renewed");
    else if (frame.t === "error") this.#error(frame);
  }

  /** The server requests the next token. A failure is repeated for as long as the present one lasts. */
  #expiring(inMs) {
    this.emit("expiring", { inMs });
    if (!this.#options.getToken) return;
    const ends = Date.now() + inMs;
    const again = () => {
      if (Date.now() + RENEW_AGAIN_MS < ends) this.#timers.renew = setTimeout(fetch, RENEW_AGAIN_MS);
    };
    const fetch = () => this.#fetchToken(this.#socket, () => this.#token && this.renew(this.#token), again);
    fetch();
  }

  /** `welcome` is the first frame and is sent once; frames of rooms follow it. */
  #isInOrder(frame) {
    if (frame.t === "welcome") return this.state === "connecting";
    return frame.seq === undefined || this.state === "connected";
  }

  /** The order of later frames cannot be trusted: the client reconnects and receives the missing frames. */
  #rejectFrame() {
    this.#abandon(CLOSED_GAP, "not a frame of this protocol");
    this.emit("error", new ChorusError("bad_frame", "the server sent a text that is not a frame of this protocol"));
  }

  #fromRoom(frame) {
    if (frame.t === "room") return this.#view(frame);
    const room = this.#rooms.get(frame.room);
    if (room && frame.seq <= room.seq) return void (this.duplicates += 1);
    if (!room || frame.seq !== room.seq + 1) return this.#gap(room, frame);
    Object.assign(room, { seq: frame.seq, suspect: false });
    if (frame.t === "event") this.#event(room, frame);
    else if (frame.t === "patch") this.#patch(room, frame.ops);
    else if (frame.t === "reply") this.#settle(frame.id, (message) => message.resolve(frame.data));
    else if (frame.t === "error") this.#error(frame);
    else if (frame.t === "left") this.#leave(room, frame.reason);
  }

  #event(room, { type, data }) {
    const place = room.id === LOBBY && type === "placed" ? data : null;
    if (isText(place?.room) && isText(place.code)) this.#keepPlace(place.room, { code: place.code });
    room.event(type, data);
  }

  /** A whole view. It replaces all earlier frames of the room, which may be skipped, replies included. */
  #view(frame) {
    const known = this.#rooms.get(frame.room);
    // The numbers rise even after leaving and joining again.
    if (known && frame.seq <= known.seq) return void (this.duplicates += 1);
    const again = known !== undefined && known.left === null;
    const room = again ? known : new Room(this, frame.room);
    const skipped = frame.seq !== room.seq + 1;
    Object.assign(room, { kind: frame.kind, view: frame.view, seq: frame.seq, suspect: false });
    // Among frames that are missing may be the end of the stay, and this view the first one of the next.
    if (!again || skipped) this.#enter(room);
    if (skipped) this.#applied(room, frame.ack ?? 0);
    room.emit("view", room.view);
    this.#flush();
  }

  #enter(room) {
    const current = this.room;
    // The map's order is that of the stays: when a room is left, the one before it becomes the current room.
    room.stay = ++this.#stays;
    this.#rooms.delete(room.id);
    this.#rooms.set(room.id, room);
    this.room = room;
    if (current !== room) this.emit("room", room);
  }

  #applied(room, ack) {
    for (const message of [...this.#unanswered.values()]) {
      if (message.room.id !== room.id || message.id > ack) continue;
      const error = new ChorusError("applied", "the room has handled this message, and its answer is lost");
      this.#settle(message.id, () => message.reject(error));
    }
  }

  #patch(room, operations) {
    try {
      room.view = applyPatch(room.view, operations);
    } catch (error) {
      // Without a number in `last`, the server sends the whole view.
      room.seq = 0;
      this.#abandon(CLOSED_GAP, "a patch does not fit");
      const known = error instanceof ChorusError;
      return this.emit("error", known ? error : new ChorusError("bad_patch", "the operations of a patch are malformed"));
    }
    room.emit("view", room.view);
  }

  #gap(room, frame) {
    // The end of a room that this client does not have changes nothing.
    if (!room && frame.t === "left") return;
    this.gaps += 1;
    const wanted = (room?.seq ?? 0) + 1;
    // A second gap in a row means that the server cannot send the missing frames: request the whole view.
    if (room?.suspect) room.seq = 0;
    if (room) room.suspect = true;
    this.#abandon(CLOSED_GAP, "gap");
    this.emit("error", new ChorusError("gap", `room ${frame.room}: frame ${wanted} is missing, ${frame.seq} came`));
  }

  #error(frame) {
    const error = new ChorusError(frame.code, frame.message, frame.retryAfterMs);
    if (frame.id === undefined) {
      if (this.state === "connecting") this.#onHelloRefused(error);
      // Of messages, only those with an id are unavailable: the server could not check a token.
      else if (frame.code === "unavailable" && frame.room === undefined && this.#token) this.#renewLater(frame.retryAfterMs ?? RENEW_AGAIN_MS);
      return this.emit("error", error);
    }
    this.#settle(frame.id, (message) => message.reject(error));
  }

  #renewLater(ms) {
    this.#clear("renew");
    this.#timers.renew = setTimeout(() => this.#token && this.renew(this.#token), ms);
  }

  /** The server has refused this `hello` and closes the connection next. If it does not, the client closes it after a while. */
  #onHelloRefused(error) {
    this.#refusal = error;
    this.#clear("connect");
    this.#timers.connect = setTimeout(() => {
      const again = error.code !== "bad_frame" && error.code !== "bad_order";
      this.#abandon(again ? CLOSED_SILENT : CLOSED_BAD_FRAME, error.message);
    }, this.#options.probeMs);
  }

  /** A second answer is ignored: the message was sent twice. */
  #settle(id, how) {
    const message = this.#unanswered.get(id);
    if (!message) return;
    this.#unanswered.delete(id);
    this.#clear("answer");
    if (this.#unanswered.size > 0 && this.state === "connected") {
      this.#timers.answer = setTimeout(() => this.#abandon(CLOSED_SILENT, "no answer"), this.#options.answerMs);
    }
    how(message);
  }

  #leave(room, reason) {
    room.left = reason;
    const rest = this.rooms;
    if (this.room === room) this.room = rest.at(-1) ?? null;
    this.#dropOldRooms();
    room.emit("left", reason);
    this.emit("left", room, reason);
  }

  /** Keeps the latest rooms that the session has left, so that their late frames are recognized as such. */
  #dropOldRooms() {
    const left = [...this.#rooms.values()].filter((room) => room.left !== null);
    for (const room of left.slice(0, Math.max(0, left.length - 64))) this.#rooms.delete(room.id);
  }

  #clearRooms() {
    for (const room of this.rooms) room.left = "reset";
    this.#rooms.clear();
    this.#places.clear();
    this.room = null;
  }

  #rejectAll(code, message) {
    const all = [...this.#unanswered.values(), ...this.#queue];
    this.#unanswered.clear();
    this.#queue = [];
    for (const { reject } of all) reject(new ChorusError(code, message));
    // After a reset they continue: the new session is in the lobby.
    if (code === "closed") for (const way of [...this.#ways]) way.fail(new ChorusError(code, message));
  }

  // ---- storage ----
  // Views end with the page, so `last` is not stored, and the server sends whole views. The highest id is stored because
  // ids must rise for as long as the session lives.

  #storage() {
    const { storage } = this.#options;
    if (storage !== undefined) return storage;
    try {
      return globalThis.sessionStorage;
    } catch {
      return null; // A browser that forbids storage throws on access.
    }
  }

  /** Where the browser's guest is stored. */
  #guestStorage() {
    if (this.#options.storage === null) return null;
    try {
      return globalThis.localStorage ?? null;
    } catch {
      return null;
    }
  }

  #load() {
    try {
      const kept = JSON.parse(this.#storage()?.getItem(`chorus ${this.url}`) ?? "null");
      if (typeof kept?.resume === "string") this.#resume = kept.resume;
      if (this.#resume && typeof kept.session === "string") this.session = kept.session;
      if (Number.isSafeInteger(kept?.id) && kept.id > 0) this.#lastId = kept.id;
      if (typeof kept?.name === "string") this.name ??= checkedName(kept.name);
      if (this.#resume && Array.isArray(kept.places)) this.#places = new Map(kept.places.slice(-PLACES_KEPT));
    } catch {
      // A value that cannot be parsed was not written by this client.
    }
  }

  #save() {
    const kept = { resume: this.#resume, session: this.session, id: this.#lastId, name: this.name, places: [...this.#places] };
    try {
      this.#storage()?.setItem(`chorus ${this.url}`, JSON.stringify(kept));
    } catch {
      // Full or forbidden: after a reload the client is a new player.
    }
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isText = (value) => typeof value === "string";
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isOr = (check) => (value) => value === undefined || check(value);

/** The members of each frame that this client relies on. All others are ignored. */
const SHAPES = {
  welcome: { session: isText, resume: isText, pingMs: isOr((ms) => ms > 0 && ms < Infinity), now: isOr(isCount), player: isOr(isText), name: isOr(isText), guest: isOr(isText) },
  room: { room: isText, seq: isCount, kind: isText, ack: isOr(isCount) },
  event: { room: isText, seq: isCount, type: isText },
  patch: { room: isText, seq: isCount, ops: Array.isArray },
  reply: { room: isText, seq: isCount, id: isCount },
  error: { room: isOr(isText), seq: isOr(isCount), id: isOr(isCount), code: isText },
  left: { room: isText, seq: isCount },
  expiring: { inMs: isCount },
};

/** Whether this is a frame. A frame of an unknown type is one too, as long as `t` is a string. */
function isFrame(frame) {
  if (frame === null || typeof frame !== "object" || !isText(frame.t)) return false;
  const numbered = frame.seq === undefined ? {} : { room: isText, seq: isCount };
  const shape = Object.hasOwn(SHAPES, frame.t) ? SHAPES[frame.t] : numbered;
  return Object.entries(shape).every(([member, fits]) => fits(frame[member]));
}

function webSocketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  absolute.hash = ""; // A WebSocket's address has none, and some browsers reject one.
  return absolute.href;
}

// ---- the offline page ----

/** The service worker of servers that serve a page too. */
const OFFLINE_WORKER = "/chorus-offline.js";

/**
 * Registers the server's service worker, or removes it. Only for the page's own server, and not in the place of a worker of the page. Browsers have
 * none for a page that was not loaded over TLS or from loopback. A failure changes nothing: the page may come from another program, which has no
 * such file.
 */
async function keepOfflinePage(url, isWanted) {
  try {
    const { document, location, navigator } = globalThis;
    const workers = navigator?.serviceWorker;
    if (!document || !workers || new URL(url).host !== location.host) return;
    // The page itself comes first.
    if (document.readyState !== "complete") await new Promise((resolve) => globalThis.addEventListener("load", resolve, { once: true }));
    const found = await workers.getRegistration("/");
    const { scriptURL } = found?.active ?? found?.waiting ?? found?.installing ?? {};
    const isOurs = scriptURL === new URL(OFFLINE_WORKER, location.href).href;
    if (isWanted && !found) await workers.register(OFFLINE_WORKER);
    else if (!isWanted && isOurs) await found.unregister();
  } catch {
    // Forbidden by the browser, or not there.
  }
}

// ---- checks of messages, made in `send` so that its caller gets the error ----

/** A message's type and data as they are sent. They are serialized once: later changes by the caller are not sent. */
function bodyOf(type, data) {
  if (typeof type !== "string") throw invalid(`the type of a message is a string, not ${describe(type)}`);
  if (/\p{Surrogate}/u.test(type)) throw invalid("the type of a message ends or begins in half a character");
  const bytes = byteLength(type);
  if (bytes < 1 || bytes > MAX_TYPE_BYTES) throw invalid(`a type has 1 to ${MAX_TYPE_BYTES} bytes, this one has ${bytes}`);
  let text;
  try {
    text = JSON.stringify(data); // `undefined` and functions have no JSON: `data` is omitted.
  } catch (error) {
    throw invalid(`the data of ${JSON.stringify(type)} is no JSON: ${reasonOf(error)}`, error);
  }
  const body = `"type":${JSON.stringify(type)}${text === undefined ? "" : `,"data":${text}`}`;
  const frame = messageText(Number.MAX_SAFE_INTEGER, "0".repeat(32), body);
  const size = byteLength(frame);
  if (size > MAX_FRAME_BYTES) throw invalid(`a message has at most ${MAX_FRAME_BYTES} bytes, this one has ${size}`);
  const excess = excessOf(frame);
  if (excess) throw invalid(`the data of ${JSON.stringify(type)} cannot be sent: ${excess}`);
  return body;
}

function messageText(id, room, body) {
  return `{"t":"msg","id":${id},"room":"${room}",${body}}`;
}

function invalid(message, cause) {
  return new ChorusError("invalid", message, undefined, cause === undefined ? undefined : { cause });
}

/** Describes the server's limit that a frame's JSON exceeds, or null. Counts as the server does, including the frame itself. */
function excessOf(json) {
  const names = new Set();
  let [depth, values, members, extreme, string] = [0, 1, 0, 0, ""];
  for (const [token, quoted] of json.matchAll(/"([^"\\]*(?:\\.[^"\\]*)*)"|[[\]{}:,]|-?\d[\d.eE+-]*/g)) {
    if (quoted !== undefined) {
      string = quoted;
      // Of surrogates, `JSON.stringify` escapes only those without their other half.
      if (/\\ud[89a-f]/i.test(quoted.replaceAll("\\\\", ""))) return "a string holds half of a character";
    } else if (token === "[" || token === "{") {
      if (++depth > MAX_DEPTH) return `it is nested more than ${MAX_DEPTH} deep, the frame counted`;
      values += 1;
    } else if (token === "]" || token === "}") {
      depth -= 1;
    } else if (token === ",") {
      values += 1;
    } else if (token === ":") {
      names.add(string);
      if (++members > MAX_MEMBERS) return `its objects have more than ${MAX_MEMBERS} members together`;
      if (names.size > MAX_NAMES) return `its members have more than ${MAX_NAMES} different names`;
      if (byteLength(string) > MAX_NAME_BYTES) return `a name has more than ${MAX_NAME_BYTES} bytes`;
    } else {
      const size = Math.abs(Number(token));
      if (token.length > MAX_NUMBER || size === Infinity) return "a number is too large for a double";
      if ((size > 1e21 || size < 1e-21) && size !== 0 && ++extreme > MAX_EXTREME) {
        return `more than ${MAX_EXTREME} numbers are above 1e21 or below 1e-21`;
      }
    }
    if (values > MAX_VALUES) return `it has more than ${MAX_VALUES} values`;
  }
  return null;
}

/** The length of a string in UTF-8, without encoding it. */
function byteLength(text) {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Two more when a unit takes three bytes; a surrogate pair is two units for four bytes.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** A room's code, of what a person has typed. */
function asCode(text) {
  return text.replace(/[\s-]/g, "").toUpperCase();
}

function describe(value) {
  return value === null ? "null" : typeof value;
}

function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Players type their names, and a field that truncates at 32 units may split a character: the half is dropped. */
function checkedName(name) {
  if (name === undefined || name === null) return null;
  if (typeof name !== "string") throw new TypeError(`name is a string, not ${describe(name)}`);
  return name.replace(/\p{Surrogate}/gu, "");
}

function checked(options) {
  // Only browsers have tabs.
  if (globalThis.document) {
    options.BroadcastChannel ??= globalThis.BroadcastChannel;
    options.locks ??= globalThis.navigator?.locks;
  }
  options.WebSocket ??= globalThis.WebSocket;
  if (!options.WebSocket) throw new TypeError("there is no global WebSocket here: pass one as an option");
  const { token, getToken, retry, offlinePage } = options;
  if (typeof offlinePage !== "boolean") throw new TypeError(`offlinePage is a boolean, not ${describe(offlinePage)}`);
  if (getToken !== undefined && getToken !== null && typeof getToken !== "function") {
    throw new TypeError(`getToken is a function, not ${describe(getToken)}`);
  }
  if (token !== undefined && token !== null && typeof token !== "string") {
    throw new TypeError(`token is a string, not ${describe(token)}`);
  }
  const { stableMs, connectMs, answerMs, probeMs, limit } = options;
  const numbers = { stableMs, connectMs, answerMs, probeMs, limit, "retry.baseMs": retry.baseMs, "retry.maxMs": retry.maxMs };
  for (const [name, value] of Object.entries(numbers)) {
    // A timer with a longer delay fires at once.
    const fits = typeof value === "number" && value >= 0 && value < 2 ** 31;
    if (!fits) throw new TypeError(`${name} is a number from 0 to 2147483647, not ${String(value)}`);
  }
  return options;
}
