// A component's description of itself, checked while it is built, so that its author sees a mistake at once.

import { byteLength, fits } from "./bytes.js";
import { named, plain, toJson } from "./json.js";
import { BUDGETS, CAPS, LIMITS } from "./limits.js";
import { create, getPrototypeOf, hasOwn, isArray, isInteger, join, keys, ownKeys, slice, stringify, TypeError, test, toTag } from "./primordials.js";
import { Room } from "./room.js";

const whole = (least, cap) => (value) => {
  if (!isInteger(value) || value < least) return `must be a whole number, ${least} or more`;
  return value > cap ? `is ${value}; the most is ${cap}` : null;
};
const flag = (value) => typeof value === "boolean" ? null : "must be true or false";

const BUDGET = create(null);
for (const key of keys(BUDGETS)) BUDGET[key] = whole(1, BUDGETS[key].cap);

const CONFIG = {
  maxPlayers: whole(0, CAPS.maxPlayers),
  sessionsPerPlayer: whole(0, CAPS.sessionsPerPlayer),
  reconnectSeconds: whole(0, CAPS.reconnectSeconds),
  keepWhenEmpty: flag,
  emptySeconds: whole(0, CAPS.emptySeconds),
  share: whole(1, CAPS.share),
  budget: (value) => { check(value, BUDGET, "static config.budget"); return null; },
};

const LOBBY = {
  seats: (value) => whole(2, CAPS.lobbySeats)(value),
  match: (value) => {
    if (!isArray(value) || value.length > CAPS.lobbyMatch) return `must be a list of at most ${CAPS.lobbyMatch} names`;
    for (let i = 0; i < value.length; i++) {
      if (typeof value[i] !== "string" || !test(/^[A-Za-z_]\w{0,31}$/, value[i])) return "must have names of 1 to 32 letters, digits and _, which begin with a letter or _";
    }
    return null;
  },
  create: flag,
};

export const HOOKS = [
  "onCreate", "onJoinAttempt", "onJoin", "onDrop", "onReconnect", "onLeave", "onRoomMessage", "onRoomEnd", "onMoveFailed",
  "onRestore", "onDispose", "onUpgrade", "onErase",
];

/** The manifest of `RoomClass`, of which `room` is one. */
export function manifestOf(RoomClass, room) {
  const stateVersion = RoomClass.stateVersion ?? 1;
  if (!isInteger(stateVersion) || stateVersion < 0 || stateVersion > 0xffffffff) {
    throw new TypeError(`static stateVersion must be a whole number, 0 or more, not ${stateVersion}`);
  }
  const config = RoomClass.config ?? {};
  check(config, CONFIG, "static config");
  const answers = namesOf(room.answers, "answers", "(found, data) => …");
  return {
    stateVersion,
    config: toJson(answers.length === 0 ? config : { ...config, answers }, "static config"),
    timers: namesOf(room.timers, "timers", "(payload) => …"),
    messages: namesOf(room.messages, "messages", "(player, data) => …"),
  };
}

/** What the lobby does with the kind (`Offer` in chorus.d.ts); false when clients cannot request its rooms. */
export function offerOf({ lobby = true, config }) {
  if (lobby === false) return false;
  const given = lobby === true ? {} : lobby;
  check(given, LOBBY, "static lobby");
  const { seats = 0, match = [], create: creates = true } = given, { maxPlayers = 0 } = config ?? {};
  if (maxPlayers > 0 && seats > maxPlayers) {
    throw new TypeError(`static lobby.seats is ${seats}, and the room has ${maxPlayers} seats (static config.maxPlayers)`);
  }
  return { maxPlayers, seats, match, create: creates };
}

function check(object, rules, what) {
  if (typeof object !== "object" || object === null) throw new TypeError(`${what} must be an object, not ${named(object)}`);
  const given = keys(object);
  for (let i = 0; i < given.length; i++) {
    const key = given[i];
    if (!hasOwn(rules, key)) throw new TypeError(`${what} has no key "${key}"; there are: ${join(keys(rules), ", ")}`);
    const wrong = rules[key](object[key]);
    if (wrong !== null) throw new TypeError(`${what}.${key} ${wrong}`);
  }
}

/** `value` must be synchronous: the continuation of a promise or a generator would be in no record. */
export function mustBeSync(value, what) {
  const sort = functionSort(value);
  if (sort === "Function") return;
  const later = sort === "GeneratorFunction" ? "is a generator" : "is async";
  throw new TypeError(`${what} ${later}: hooks are synchronous; drop \`${sort === "GeneratorFunction" ? "*" : "async"}\`, and use this.schedule.after for what comes later`);
}

function functionSort(value) {
  return slice(toTag(value), 8, -1);
}

function namesOf(handlers, what, shape) {
  if (handlers === undefined) return [];
  if (typeof handlers !== "object" || handlers === null) throw new TypeError(`${what} must be an object of { name: ${shape} }`);
  const names = keys(handlers);
  if (names.length > LIMITS.names) throw new TypeError(`${what} has ${names.length} names; at most ${LIMITS.names}`);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (typeof handlers[name] !== "function") throw new TypeError(`${what}.${name} must be a function, ${shape}, not ${named(handlers[name])}`);
    mustBeSync(handlers[name], `${what}.${name}`);
    if (name === "" || !fits(name, LIMITS.typeBytes)) {
      throw new TypeError(`${what}: a name has 1 to ${LIMITS.typeBytes} bytes, ${stringify(name)} has ${byteLength(name)}`);
    }
    if (plain(name) !== name) throw new TypeError(`${what}: ${stringify(name)} has characters that a name cannot have`);
  }
  return names;
}

/** Methods that look like hooks and are not: most likely misspelt. */
export function unknownHooks(RoomClass) {
  const found = [];
  for (let proto = RoomClass.prototype; proto !== Room.prototype && proto !== null; proto = getPrototypeOf(proto)) {
    const names = ownKeys(proto);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      if (typeof name === "string" && test(/^on_?[a-z]/i, name) && !known(name)) found[found.length] = name;
    }
  }
  return found;
}

function known(name) {
  for (let i = 0; i < HOOKS.length; i++) if (HOOKS[i] === name) return true;
  return false;
}
