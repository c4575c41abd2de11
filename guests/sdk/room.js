// `Room`, which every script extends.

import { handedDown, roomsLeft, takeRooms } from "./allowance.js";
import { call, emit, messageType, moment, PART } from "./call.js";
import { toJson, toParcel, toText } from "./json.js";
import { allowed, LIMITS } from "./limits.js";
import { log } from "./log.js";
import * as own from "./primordials.js";
import { Players, roomId, exceptOf } from "./players.js";
import { random } from "./random.js";
import { schedule } from "./timers.js";

/** A room's own word that it will not do what it was asked. No `Error`: a stack would cost more than the refusal. */
export class Refusal {
  constructor(reason) { this.message = reason; }
}

/** What the host said of this room, and what the SDK found in its class. */
export const self = { info: null, players: own.freeze(new Players()) };

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
    const except = exceptOf(options);
    emit("broadcast" + PART + kind + PART + toJson(data, "broadcast: the data of", kind) + except, "broadcast");
  }

  refuse(reason) {
    const text = toText(reason, "refuse: the reason");
    if (!call.refusable) {
      throw new own.Error("this.refuse(reason) answers a message or a join: call it in a message's handler or in onJoinAttempt");
    }
    // It holds even when the script catches what is thrown.
    call.refused = text;
    call.used = true;
    throw new Refusal(text);
  }

  lock() {
    emit("lock", "lock");
    call.locked = true;
  }

  unlock() {
    emit("unlock", "unlock");
    call.locked = false;
  }

  setMetadata(data) { emit("metadata" + PART + toJson(data, "setMetadata: the data"), "setMetadata"); }
  end(outcome) { emit("end" + PART + toParcel(outcome, "end: the outcome"), "end"); }
}

function told(what) {
  moment(what);
  return self.info;
}

const KIND = own.pattern(/^[a-z][a-z0-9-]*$/);

const rooms = {
  /** The id is known at once, by the same sum that the host does: the creating record's words, and n. */
  create(kind, options, handed) {
    const name = toText(kind, "rooms.create: the kind");
    if (!own.test(KIND, name) || name.length > LIMITS.kindChars) {
      throw new own.TypeError(`rooms.create: ${own.stringify(name)} is not a kind; one has 1 to ${LIMITS.kindChars} of a-z, 0-9 and -, and begins with a letter`);
    }
    const given = toParcel(options ?? {}, "rooms.create: the options");
    if (call.created >= allowed.rooms) {
      throw new own.RangeError(`rooms.create: this call has created ${allowed.rooms} rooms, which is all that it may (config.budget.roomsPerRecord)`);
    }
    const down = handedDown(handed);
    emit("create-room" + PART + name + PART + given + (down === 0 ? "" : PART + down), "rooms.create");
    call.used = true;
    const last = own.parseInt(own.slice(call.chance, 56), 16) + call.created++;
    const id = own.slice(call.chance, 32, 56) + own.padStart(own.toText(last >>> 0, 16), 8, "0");
    takeRooms(id, down);
    return id;
  },

  get left() { return roomsLeft(); },

  send(room, data) {
    emit("send-room" + PART + roomId(room, "rooms.send") + PART + toParcel(data, "rooms.send: the data"), "rooms.send");
  },
};

for (const handle of [rooms, schedule, random, log]) own.freeze(handle);
