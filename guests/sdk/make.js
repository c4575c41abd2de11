// A room of the author's class, made while the component is built.

import { checkFields } from "./fields.js";
import { checkSize, discard } from "./finish.js";
import { settlePromises } from "./globals.js";
import { named } from "./json.js";
import { allow } from "./limits.js";
import { manifestOf, mustBeSync } from "./manifest.js";
import * as primordials from "./primordials.js";
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
  script.manifest = manifestOf(GivenClass, room);
  allow(GivenClass.config);
  checkFields(GivenClass, room);
  setState(room.state);
  commitState();
  discard();
  checkSize();
  script.hooks = hooksOf(room);
  if (typeof GivenClass.migrate === "function") mustBeSync(GivenClass.migrate, "static migrate");
  if (room.timers !== undefined) setTimers(room.timers);
  seal(GivenClass, room);
}
