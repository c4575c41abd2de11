// From a class that extends `Room` to the engine (engine/src/room.c), which has the functions of the contract.

import { undoRooms } from "./allowance.js";
import { dispatch, playerOf } from "./events.js";
import { failureText } from "./failure.js";
import { plain, toJson } from "./json.js";
import { log } from "./log.js";
import { makeRoom } from "./make.js";
import { methods } from "./methods.js";
import { native } from "./native.js";
import * as primordials from "./primordials.js";
import { random } from "./random.js";
import { undoRequests } from "./requests.js";
import { opened } from "./restore.js";
import { Refusal, Room } from "./room.js";
import { aPromise, script } from "./script.js";
import { schedule } from "./timers.js";

// The engine has quick ways of what scripts call most, and leaves to the reference all that is not as it should be.
native.quick({ broadcast: Room.prototype.broadcast, send: methods.send, after: schedule.after, int: random.int, toJson });
replace(Room.prototype, "broadcast", native.broadcast);
replace(Room.prototype, "now", native.now);
replace(schedule, "after", native.after);
replace(random, "int", native.int);

// What the room's getters return does not change: a call of the engine is quicker than one of a script.
for (const name of ["players", "random", "log", "rooms", "schedule"]) {
  const known = primordials.getOwnPropertyDescriptor(Room.prototype, name);
  primordials.defineProperty(Room.prototype, name, { ...known, get: native.constant(Room.prototype[name]) });
}

function replace(object, name, value) {
  primordials.defineProperty(object, name, { ...primordials.getOwnPropertyDescriptor(object, name), value });
}

/** Hands the room of this class to the engine. */
export function serve(GivenClass) {
  makeRoom(GivenClass);
  const { room, manifest, hooks } = script;
  const handlers = [];
  for (let i = 0; i < manifest.messages.length; i++) handlers[i] = room.messages[manifest.messages[i]];
  native.serve({
    ...manifest, room, handlers, view: hooks.view, open: opened, dispatch, failureText: (error) => plain(failureText(error)),
    afterRefusal, undoRooms: undoOutside, aPromise, noHandler, noMember: playerOf,
  });
}

/** Rooms and requests that a call which is undone has taken. */
function undoOutside() {
  undoRooms();
  undoRequests();
}

/** An error on the way out of a refusal does not change the refusal. */
function afterRefusal(error) {
  if (!(error instanceof Refusal)) log.warn(`after a refusal: ${primordials.split(failureText(error), "\n")[0]}`);
}

function noHandler(type) {
  throw new primordials.Error(`no handler for messages of type ${primordials.stringify(type)}`);
}
