// A room of the author's class, made while the component is built.

import { checkFields } from "./fields.js";
import { checkSize, discard } from "./finish.js";
import { settlePromises } from "./globals.js";
import { named } from "./json.js";
import { allow, LIMITS } from "./limits.js";
import { leave, setOffer } from "./lobby.js";
import { manifestOf, mustBeSync, offerOf } from "./manifest.js";
import * as primordials from "./primordials.js";
import { setAnswers } from "./requests.js";
import { freezeHandles, Room } from "./room.js";
import { hooksOf, script } from "./script.js";
import { seal } from "./seal.js";
import { commitState, setState } from "./state.js";
import { setTimers } from "./timers.js";

/** Makes the room of this class, and fills `script`; `open` completes the room. */
export function makeRoom(GivenClass) {
  if (typeof GivenClass !== "function" || !(GivenClass.prototype instanceof Room)) {
    throw new primordials.TypeError(`the default export is ${named(GivenClass)}; it must be a class that extends Room from "chorus"`);
  }
  freezeHandles();
  script.Class = GivenClass;
  const room = script.room = new GivenClass();
  settlePromises();
  addLeave(room);
  script.manifest = manifestOf(GivenClass, room);
  setOffer(offerOf(GivenClass));
  allow(GivenClass.config);
  checkFields(GivenClass, room);
  setState(room.state);
  commitState();
  discard();
  checkSize();
  script.hooks = hooksOf(room);
  if (typeof GivenClass.migrate === "function") mustBeSync(GivenClass.migrate, "static migrate");
  if (room.timers !== undefined) setTimers(room.timers);
  if (room.answers !== undefined) setAnswers(room.answers);
  seal(GivenClass, room);
}

/** Every room has a way out: a handler of `leave`, unless the script has its own, or as many handlers as it may have. */
function addLeave(room) {
  const own = room.messages === undefined ? {} : room.messages;
  if (typeof own !== "object" || own === null || primordials.hasOwn(own, "leave") || primordials.keys(own).length >= LIMITS.names) return;
  const messages = {}, names = primordials.ownKeys(own);
  for (let i = 0; i < names.length; i++) primordials.defineProperty(messages, names[i], primordials.getOwnPropertyDescriptor(own, names[i]));
  messages.leave = leave;
  room.messages = messages;
}
