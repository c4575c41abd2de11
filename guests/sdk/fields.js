// The fields of a room's class, checked while it is built.
//
// A field is made once, with the component, and is the same in every room: what a script changed in it would be lost at
// the next restore. So fields are constants, plain data and functions, and are frozen.

import { named } from "./json.js";
import * as primordials from "./primordials.js";
import { Room } from "./room.js";

const STATIC = ["length", "name", "prototype"];

/** Refuses fields that could keep something, and fields that hide what the room has by that name. */
export function checkFields(RoomClass, room) {
  const names = primordials.ownKeys(room);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const field = `this.${primordials.String(name)}`;
    if (name !== "state" && primordials.hasOwn(Room.prototype, name)) {
      throw new primordials.TypeError(`${field} is the room's own: call the field something else`);
    }
    checkPlain(room[name], field, name !== "state", []);
  }
  for (let Class = RoomClass; Class !== Room; Class = primordials.getPrototypeOf(Class)) checkStatics(Class);
}

function checkStatics(Class) {
  const names = primordials.ownKeys(Class);
  for (let i = 0; i < names.length; i++) {
    const known = primordials.getOwnPropertyDescriptor(Class, names[i]);
    if (includes(STATIC, names[i]) || known.get !== undefined) continue;
    checkPlain(known.value, `static ${primordials.String(names[i])}`, true, []);
    freezeDeep(known.value);
  }
}

/** `within`: the objects around the value. */
function checkPlain(value, what, functions, within) {
  if (typeof value === "function" && functions) return;
  const primitive = value === null || value === undefined || typeof value === "string" || typeof value === "boolean";
  if (primitive || typeof value === "number") return;
  if (typeof value !== "object") throw new primordials.TypeError(refusal(what, named(value), functions));
  const proto = primordials.getPrototypeOf(value);
  const plain = primordials.isArray(value) || proto === primordials.objectPrototype || proto === null;
  if (!plain) throw new primordials.TypeError(refusal(what, `a ${nameOf(proto)}`, functions));
  if (includes(within, value)) throw new primordials.TypeError(`${what} contains itself; it must be plain data`);
  within[within.length] = value;
  const names = primordials.ownKeys(value);
  for (let i = 0; i < names.length; i++) {
    const { value: part } = primordials.getOwnPropertyDescriptor(value, names[i]);
    checkPlain(part, what, functions, within);
  }
  within.length -= 1;
}

function refusal(what, is, functions) {
  if (!functions) return `${what} holds ${is}; it must be plain JSON data`;
  return `${what} holds ${is}: what a script kept there would be lost at a restore; keep it in this.state as plain data, and what never changes in a \`const\` of the file`;
}

/** Of a class, by its prototype. */
function nameOf(proto) {
  const { constructor } = proto;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "object of a class";
}

function includes(list, value) {
  for (let i = 0; i < list.length; i++) if (list[i] === value) return true;
  return false;
}

/** Plain data, and the functions in it. */
export function freezeDeep(value) {
  if (typeof value === "function") primordials.freeze(value);
  if (typeof value !== "object" || value === null || primordials.isFrozen(value)) return;
  primordials.freeze(value);
  const names = primordials.ownKeys(value);
  for (let i = 0; i < names.length; i++) freezeDeep(primordials.getOwnPropertyDescriptor(value, names[i]).value);
}
