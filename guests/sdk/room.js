// `Room`, which every script extends.

import { handedDown, roomsLeft, takeRooms } from "./allowance.js";
import { call, emit, messageType, moment, PART } from "./call.js";
import { toJson, toText } from "./json.js";
import { log } from "./log.js";
import { isFinite, padStart, parseInt, slice, stringify, toText as digits, TypeError, Error, join, keys } from "./primordials.js";
import { Players, roomId, sessionsOf } from "./players.js";
import { random } from "./random.js";

/** A room's own word that it will not do what it was asked. No `Error`: a stack would cost more than the refusal. */
export class Refusal {
  constructor(reason) { this.message = reason; }
}

/** What the host said of this room, and what the SDK found in its class. */
export const self = { info: null, players: new Players(), timers: {} };

export class Room {
  state = {};

  get id() { return told("this.id").id; }
  get kind() { return told("this.kind").kind; }
  get creator() { return told("this.creator").creator ?? null; }
  get locked() { return call.locked; }
  get players() { return self.players; }
  get random() { return random; }
  get log() { return log; }
  get rooms() { return rooms; }
  get schedule() { return schedule; }

  /** Milliseconds since 1970: the record's time, standing still within a call. */
  now() { return moment("this.now()"); }

  broadcast(type, data, options) {
    const kind = messageType(type, "broadcast: the type");
    const except = sessionsOf(options?.except);
    emit("broadcast" + PART + kind + PART + toJson(data, "broadcast: the data of", kind) + except);
  }

  refuse(reason) {
    const text = toText(reason, "refuse: the reason");
    if (!call.refusable) {
      throw new Error("this.refuse(reason) answers a message or a join: call it in a message's handler or in onJoinAttempt");
    }
    throw new Refusal(text);
  }

  lock() {
    emit("lock");
    call.locked = true;
  }

  unlock() {
    emit("unlock");
    call.locked = false;
  }

  setMetadata(data) { emit("metadata" + PART + toJson(data, "setMetadata: the data")); }
  end(outcome) { emit("end" + PART + toJson(outcome, "end: the outcome")); }
}

function told(what) {
  moment(what);
  return self.info;
}

const rooms = {
  /** The id is known at once, by the same sum that the host does: the creating record's words, and n. */
  create(kind, options, handed) {
    const name = toText(kind, "rooms.create: the kind");
    const down = handedDown(handed);
    const allowance = down === 0 ? "" : PART + down;
    emit("create-room" + PART + name + PART + toJson(options ?? {}, "rooms.create: the options") + allowance);
    const last = parseInt(slice(call.chance, 56), 16) + call.created++;
    const id = slice(call.chance, 32, 56) + padStart(digits(last >>> 0, 16), 8, "0");
    takeRooms(id, down);
    return id;
  },

  get left() { return roomsLeft(); },

  send(room, data) {
    emit("send-room" + PART + roomId(room, "rooms.send") + PART + toJson(data, "rooms.send: the data"));
  },
};

const schedule = {
  after(ms, name, data) {
    if (typeof ms !== "number" || !isFinite(ms) || ms < 0) {
      throw new TypeError(`schedule.after(ms, name): ms must be a number, 0 or more, not ${ms}`);
    }
    emit("set-timer" + PART + timer(name, "schedule.after") + PART + ms + PART + toJson(data, "schedule.after: the payload"));
  },

  cancel(name) { emit("cancel-timer" + PART + timer(name, "schedule.cancel")); },
};

function timer(name, what) {
  if (typeof name === "string" && typeof self.timers[name] === "function") return name;
  throw new Error(`${what}: \`timers\` has no ${stringify(`${name}`)}; it has: ${join(keys(self.timers), ", ") || "none"}`);
}
