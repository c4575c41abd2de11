// `Room`, which every script extends.

import { handedDown, roomsLeft, takeRooms } from "./allowance.js";
import { call, callTime, emit } from "./call.js";
import { roomId } from "./ids.js";
import { messageType, toJson, toParcel, toText } from "./json.js";
import { allowed, LIMITS } from "./limits.js";
import { reportLock, reportMetadata } from "./lobby.js";
import { log } from "./log.js";
import { recall } from "./memory.js";
import * as primordials from "./primordials.js";
import { exceptOf, Players } from "./players.js";
import { random } from "./random.js";
import { find } from "./requests.js";
import { schedule } from "./timers.js";

/** A room's refusal of a message or a join. Not an `Error`: a stack would cost more than the refusal. */
export class Refusal {
  constructor(reason) { this.message = reason; }
}

const players = primordials.freeze(new Players());

export class Room {
  state = {};

  get id() { return infoFor("this.id").id; }
  get kind() { return infoFor("this.kind").kind; }
  get creator() { return infoFor("this.creator").creator ?? null; }
  get locked() { return call.locked; }
  get players() { return players; }
  get random() { return random; }
  get log() { return log; }
  get rooms() { return rooms; }
  get schedule() { return schedule; }

  /** Milliseconds since 1970: the record's time, constant within a call. */
  now() { return callTime("this.now()"); }

  broadcast(type, data, options) {
    const checked = messageType(type, "broadcast: the type");
    const except = exceptOf(options);
    emit("broadcast", [checked, except, toJson(data, "broadcast: the data of", checked)], "broadcast");
  }

  refuse(reason) {
    const text = toText(reason, "refuse: the reason");
    if (!call.refusable) {
      throw new primordials.Error("this.refuse(reason) answers a message or a join: call it in a message's handler or in onJoinAttempt");
    }
    // It holds even when the script catches what is thrown.
    call.refused = text;
    call.used = true;
    throw new Refusal(text);
  }

  lock() {
    emit("lock", [], "lock");
    if (!call.locked) reportLock(true);
    call.locked = true;
  }

  unlock() {
    emit("unlock", [], "unlock");
    if (call.locked) reportLock(false);
    call.locked = false;
  }

  setMetadata(data) {
    const text = toJson(data, "setMetadata: the data");
    emit("metadata", [text], "setMetadata");
    reportMetadata(text);
  }

  end(outcome) { emit("end", [toParcel(outcome, "end: the outcome")], "end"); }
}

function infoFor(what) {
  callTime(what);
  return recall().info;
}

const KIND = primordials.pattern(/^[a-z][a-z0-9-]*$/);

const rooms = {
  /** Computes the id as the host does: from the creating record's randomness, and the number of rooms created before. */
  create(kind, options, handed) {
    const name = toText(kind, "rooms.create: the kind");
    if (!primordials.test(KIND, name) || name.length > LIMITS.kindChars) {
      throw new primordials.TypeError(`rooms.create: ${primordials.stringify(name)} is not a kind; one has 1 to ${LIMITS.kindChars} of a-z, 0-9 and -, and begins with a letter`);
    }
    const given = toParcel(options ?? {}, "rooms.create: the options");
    if (call.created >= allowed.rooms) {
      throw new primordials.RangeError(`rooms.create: this call has created ${allowed.rooms} rooms, the most that a call may create (config.budget.roomsPerRecord)`);
    }
    const down = handedDown(handed);
    emit("create-room", [name, down, given], "rooms.create");
    call.used = true;
    const last = primordials.parseInt(primordials.slice(call.chance, 56), 16) + call.created++;
    const id = primordials.slice(call.chance, 32, 56) + primordials.padStart(primordials.toText(last >>> 0, 16), 8, "0");
    takeRooms(id, down);
    return id;
  },

  get left() { return roomsLeft(); },

  find,
  send(room, data) {
    emit("send-room", [roomId(room, "rooms.send"), toParcel(data, "rooms.send: the data")], "rooms.send");
  },
};

/** Before the author's code has them. */
export function freezeHandles() {
  const handles = [rooms, schedule, random, log];
  for (let i = 0; i < handles.length; i++) primordials.freeze(handles[i]);
}
