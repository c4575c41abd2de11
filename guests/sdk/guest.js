// From a class that extends `Room` to the functions of the contract (`wit/room.wit`).
//
// What makes a room deterministic is here: the state lives as the text that `save` gives. A call that looks at it parses
// that text, so it sees what a restored instance would see, whatever earlier calls left in objects of their own.

import { beginCall, call, emit } from "./call.js";
import { failureText, SURVIVES } from "./failure.js";
import { named, toJson } from "./json.js";
import { HOOKS, manifestOf, unknownHooks } from "./manifest.js";
import { commitData, forgetData, inner, Player, seats } from "./players.js";
import * as own from "./primordials.js";
import { Refusal, Room, self } from "./room.js";

/** The exports of a component whose room is `RoomClass`. Makes the room itself, at build time: it waits for `open`. */
export function serve(RoomClass) {
  if (typeof RoomClass !== "function" || !(RoomClass.prototype instanceof Room)) {
    throw new own.TypeError(`the default export is ${named(RoomClass)}; it must be a class that extends Room from "chorus"`);
  }
  const room = new RoomClass();
  const manifest = manifestOf(RoomClass, room);
  const state = new State(room.state);
  const hooks = hooksOf(room);
  seal(room, state);

  const guest = new Guest(RoomClass, room, state, hooks, manifest);
  return {
    describe: () => manifest,
    open: (info, saved) => told(() => guest.open(info, saved)),
    handle: (at, event) => told(() => guest.handle(at, event)),
    save: () => told(() => guest.save()),
    warnings: () => unknownHooks(RoomClass),
  };
}

/** An error leaves as its words: the contract's `err`. */
function told(work) {
  try {
    return work();
  } catch (error) {
    // Half a surrogate pair in the words would trap at the boundary.
    throw own.toWellFormed(failureText(error));
  }
}

/** `this.state`: the text that counts, and the value that the call in hand has made of it. */
class State {
  #text;
  #live;

  constructor(value) { this.#text = toJson(notNothing(value), "this.state"); }

  get text() { return this.#text; }

  get value() {
    this.#live ??= { value: own.parse(this.#text) };
    return this.#live.value;
  }

  set value(value) { this.#live = { value }; }

  /** Keeps what the script has made of it. Whether it is something new. */
  commit() {
    if (this.#live === undefined) return false;
    const text = toJson(notNothing(this.#live.value), "this.state");
    const changed = text !== this.#text;
    this.#text = text;
    return changed;
  }

  differs() { return this.#live !== undefined && toJson(this.#live.value, "this.state") !== this.#text; }
  forget() { this.#live = undefined; }
}

function notNothing(value) {
  if (value === undefined) throw new own.TypeError("this.state is undefined; it must be plain JSON data");
  return value;
}

function hooksOf(room) {
  const hooks = { view: room.view };
  for (let i = 0; i < HOOKS.length; i++) hooks[HOOKS[i]] = room[HOOKS[i]];
  const names = own.keys(hooks);
  for (let i = 0; i < names.length; i++) {
    const hook = hooks[names[i]];
    if (hook !== undefined && typeof hook !== "function") throw new own.TypeError(`${names[i]} must be a function, not ${named(hook)}`);
  }
  return hooks;
}

/** From here on nothing of the room can change but `state`: what else a script kept would be lost at a restore. */
function seal(room, state) {
  const names = own.ownKeys(room);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const { value } = own.getOwnPropertyDescriptor(room, name);
    freezeDeep(value);
    own.defineProperty(room, name, {
      get: name === "state" ? () => state.value : () => value,
      set: name === "state" ? (given) => { state.value = given; } : () => keepOut(name),
      configurable: false,
    });
  }
  own.preventExtensions(room);
  // At the end of the prototypes: met only by an assignment to what the room does not have.
  const guard = new own.Proxy(own.getPrototypeOf(Room.prototype), { set: (_, name) => keepOut(name) });
  own.setPrototypeOf(Room.prototype, guard);
}

function keepOut(name) {
  throw new own.TypeError(`this.${own.String(name)} cannot be set: ${SURVIVES}`);
}

function freezeDeep(value) {
  if (typeof value !== "object" || value === null || own.isFrozen(value)) return;
  const proto = own.getPrototypeOf(value);
  if (!own.isArray(value) && proto !== own.objectPrototype && proto !== null) return;
  own.freeze(value);
  const names = own.keys(value);
  for (let i = 0; i < names.length; i++) freezeDeep(value[names[i]]);
}

class Guest {
  #RoomClass; #room; #state; #hooks; #manifest;
  /** What a refusal puts back. */
  #locked = false;

  constructor(RoomClass, room, state, hooks, manifest) {
    this.#RoomClass = RoomClass;
    this.#room = room;
    this.#state = state;
    this.#hooks = hooks;
    this.#manifest = manifest;
    self.timers = room.timers ?? {};
  }

  open(info, saved) {
    beginCall(info.at, false);
    self.info = info;
    call.locked = info.locked;
    const known = saved ? own.parse(saved.state) : { state: undefined, data: undefined };
    if (saved) {
      this.#state.value = this.#migrated(known.state, saved.version);
      this.#state.commit();
      this.#state.forget();
    }
    for (let i = 0; i < info.members.length; i++) {
      const member = info.members[i];
      const data = known.data?.[member.session];
      seats.add(self.players, new Player(member, data === undefined ? "{}" : own.stringify(data)));
    }
    if (info.restored) this.#restored(info.restored);
    return call.effects;
  }

  #migrated(state, from) {
    const to = this.#manifest.stateVersion;
    if (from === to) return state;
    if (from > to) throw new own.Error(`the state is of version ${from}, newer than this script's static stateVersion = ${to}`);
    const { migrate } = this.#RoomClass;
    if (typeof migrate !== "function") {
      throw new own.Error(`the state is of version ${from}, this script's of ${to}: it needs static migrate(old, from)`);
    }
    return settled(own.apply(migrate, this.#RoomClass, [state, from]), "migrate");
  }

  /** Only a swap may change a room: all else brings it back to where the log says it was. */
  #restored(why) {
    if (why === "swapped") {
      this.#call("onRestore", why);
      return this.#finish(undefined, true);
    }
    const lines = this.#restoredLines(why);
    this.#forget();
    call.locked = self.info.locked;
    call.effects = lines;
  }

  #restoredLines(why) {
    const hook = `onRestore("${why}")`;
    let complaint = "";
    try {
      this.#call("onRestore", why);
      const lines = logLines(call.effects);
      const asked = lines.length < call.effects.length || this.#state.differs();
      if (asked) complaint = `${hook} may only log; what else it did is dropped, else a replay would differ`;
    } catch (error) {
      complaint = `${hook}: ${failureText(error)}`;
    }
    const lines = logLines(call.effects);
    if (complaint !== "") lines[lines.length] = { tag: "log", val: { level: "warn", text: own.toWellFormed(complaint) } };
    return lines;
  }

  handle(at, event) {
    beginCall(at, event.tag === "message" || event.tag === "join");
    this.#locked = call.locked;
    try {
      this.#dispatch(event);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#refuse(error.message);
    }
    return call.effects;
  }

  #dispatch({ tag, val }) {
    switch (tag) {
      case "create":
        this.#call("onCreate", own.parse(val));
        return this.#finish(undefined, true);
      case "join":
        return this.#join(val);
      case "message":
        return this.#message(val);
      case "drop":
        inner.setConnected(this.#player(val), false);
        this.#call("onDrop", this.#player(val));
        return this.#finish();
      case "reconnect":
        inner.setConnected(this.#player(val), true);
        this.#call("onReconnect", this.#player(val));
        return this.#finish();
      case "leave":
        return this.#leave(val);
      case "timer":
        settled(own.apply(self.timers[val.name], this.#room, [own.parse(val.payload)]), "timers", val.name);
        return this.#finish();
      case "room-message":
        this.#call("onRoomMessage", val.room, own.parse(val.data));
        return this.#finish();
      case "room-end":
        this.#call("onRoomEnd", val.room, own.parse(val.outcome), val.failed ?? undefined);
        return this.#finish();
      case "move-failed":
        this.#call("onMoveFailed", this.#player(val.session), val.room, val.reason);
        return this.#finish();
      case "dispose":
        this.#call("onDispose", own.parse(val));
        return this.#finish();
      default:
        throw new own.Error(`an event of kind ${tag}, which this SDK does not know`);
    }
  }

  #join({ member, options }) {
    const player = new Player(member, "{}");
    const given = own.parse(options);
    const word = this.#hooks.onJoinAttempt === undefined ? true : this.#call("onJoinAttempt", player, given);
    if (word !== true && word !== false && word !== "spectator") {
      throw new own.TypeError(`onJoinAttempt returned ${named(word)}; it must be true, false or "spectator"`);
    }
    if (word === false) return this.#refuse("the room did not let you in");
    // The host says "spectator" beforehand when all players' seats are taken.
    if (word === true && member.spectator) return this.#refuse("the room is full");
    call.refusable = false;
    inner.setSpectator(player, word === "spectator");
    emit("admit", word === "spectator" ? "spectator" : "player");
    seats.add(self.players, player);
    this.#call("onJoin", player, given);
    this.#finish(player);
  }

  #leave({ session, reason }) {
    const player = this.#player(session);
    inner.setConnected(player, false);
    seats.remove(self.players, session);
    this.#call("onLeave", player, reason);
    this.#finish();
  }

  #message({ session, kind, data }) {
    const handler = this.#room.messages?.[kind];
    if (typeof handler !== "function") throw new own.Error(`no handler for messages of type ${own.stringify(kind)}`);
    const said = settled(own.apply(handler, this.#room, [this.#player(session), own.parse(data)]), "messages", kind);
    const reply = toJson(said, "the reply to", kind);
    this.#finish();
    // Last, so that whoever has the reply has seen all that the message did.
    emit("reply", reply);
  }

  #player(session) {
    const player = self.players.get(session);
    if (player === undefined) throw new own.Error(`session ${session} is not in this room`);
    return player;
  }

  #call(name, ...values) {
    const hook = this.#hooks[name];
    return hook === undefined ? undefined : settled(own.apply(hook, this.#room, values), name);
  }

  /** Keeps what the call made of the state, and shows it. The host drops a view that is what its member sees already. */
  #finish(admitted, always = false) {
    const stateChanged = this.#state.commit();
    const dataChanged = commitData();
    const changed = stateChanged || dataChanged || always;
    const { view } = this.#hooks;
    if (view === undefined) {
      if (stateChanged || always) emit("view", this.#state.text);
    } else if (view.length < 2) {
      // It asks for no player: everybody's.
      if (changed) emit("view", toJson(this.#call("view", this.#state.value), "the view"));
    } else if (changed) {
      self.players.forEach((player) => this.#show(player));
    } else if (admitted !== undefined) {
      this.#show(admitted);
    }
    this.#forget();
  }

  #show(player) {
    const view = this.#call("view", this.#state.value, player);
    emit("view-of", { session: player.session, view: toJson(view, "the view") });
  }

  /** Puts everything back; what was logged stays. */
  #refuse(reason) {
    this.#forget();
    call.locked = this.#locked;
    call.effects = logLines(call.effects);
    emit("refuse", reason);
  }

  #forget() {
    this.#state.forget();
    forgetData();
  }

  save() {
    let data = "";
    self.players.forEach((player) => {
      const text = inner.text(player);
      if (text !== "{}") data += `${data === "" ? "" : ","}"${player.session}":${text}`;
    });
    const state = data === "" ? `{"state":${this.#state.text}}` : `{"state":${this.#state.text},"data":{${data}}}`;
    return { version: this.#manifest.stateVersion, state };
  }
}

/** Hooks are synchronous: what a promise would do later is in no record. */
function settled(value, what, name) {
  if (typeof value === "object" && value !== null && typeof value.then === "function") {
    const whole = name === undefined ? what : `${what}.${name}`;
    throw new own.TypeError(`${whole} returned a promise: hooks are synchronous; drop \`async\`, and use this.schedule.after for what comes later`);
  }
  return value;
}

function logLines(effects) {
  const lines = [];
  for (let i = 0; i < effects.length; i++) if (effects[i].tag === "log") lines[lines.length] = effects[i];
  return lines;
}
