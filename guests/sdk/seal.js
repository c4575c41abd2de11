// The seal of a room: from here on only `state` can change, since any other value that a script stored would be lost at a
// restore.

import { SURVIVES } from "./failure.js";
import { freezeDeep } from "./fields.js";
import { unsettable } from "./players.js";
import * as primordials from "./primordials.js";
import { Room } from "./room.js";
import { getState, setState } from "./state.js";

export function seal(RoomClass, room) {
  const names = primordials.ownKeys(room);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const { value } = primordials.getOwnPropertyDescriptor(room, name);
    freezeDeep(value);
    primordials.defineProperty(room, name, {
      get: name === "state" ? getState : () => value,
      set: name === "state" ? setState : () => keepOut(name),
      configurable: false,
    });
  }
  primordials.preventExtensions(room);
  for (let Class = RoomClass; Class !== Room; Class = primordials.getPrototypeOf(Class)) {
    primordials.freeze(Class);
    primordials.freeze(Class.prototype);
  }
  unsettable(Room.prototype, keepOut);
  // At the end of the prototypes: reached only by an assignment to a property that the room does not have.
  const guard = new primordials.Proxy(primordials.getPrototypeOf(Room.prototype), { set: (_, name) => keepOut(name) });
  primordials.setPrototypeOf(Room.prototype, guard);
  primordials.freeze(Room.prototype);
}

function keepOut(name) {
  throw new primordials.TypeError(`this.${primordials.String(name)} cannot be set: ${SURVIVES}`);
}
