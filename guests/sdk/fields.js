// The fields of a room's class, checked while it is built.
//
// A field is made once, with the component, and is the same in every room: what a script changed in it would be lost at
// the next restore. So fields are constants, plain data and functions, and are frozen.

import { named } from "./json.js";
import * as own from "./primordials.js";
import { Room } from "./room.js";

const STATIC = ["length", "name", "prototype"];

/** Refuses fields that could keep something, and fields that hide what the room has by that name. */
export function checkFields(RoomClass, room) {
  const names = own.ownKeys(room);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const field = `this.${own.String(name)}`;
    if (name !== "state" && own.hasOwn(Room.prototype, name)) {
      throw new own.TypeError(`${field} is the room's own: call the field something else`);
    }
    checkPlain(room[name], field, name !== "state", []);
  }
  for (let Class = RoomClass; Class !== Room; Class = own.getPrototypeOf(Class)) checkStatics(Class);
}

function checkStatics(Class) {
  const names = own.ownKeys(Class);
  for (let i = 0; i < names.length; i++) {
    const known = own.getOwnPropertyDescriptor(Class, names[i]);
    if (includes(STATIC, names[i]) || known.get !== undefined) continue;
    checkPlain(known.value, `static ${own.String(names[i])}`, true, []);
    freezeDeep(known.value);
  }
}

/** `within`: the objects around the value. */
function checkPlain(value, what, functions, within) {
  if (typeof value === "function" && functions) return;
  const primitive = value === null || value === undefined || typeof value === "string" || typeof value === "boolean";
  if (primitive || typeof value === "number") return;
  if (typeof value !== "object") throw new own.TypeError(refusal(what, named(value), functions));
  const proto = own.getPrototypeOf(value);
  const plain = own.isArray(value) || proto === own.objectPrototype || proto === null;
  if (!plain) throw new own.TypeError(refusal(what, `a ${nameOf(proto)}`, functions));
  if (includes(within, value)) throw new own.TypeError(`${what} contains itself; it must be plain data`);
  within[within.length] = value;
  const names = own.ownKeys(value);
  for (let i = 0; i < names.length; i++) {
    const { value: part } = own.getOwnPropertyDescriptor(value, names[i]);
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
  if (typeof value === "function") own.freeze(value);
  if (typeof value !== "object" || value === null || own.isFrozen(value)) return;
  own.freeze(value);
  const names = own.ownKeys(value);
  for (let i = 0; i < names.length; i++) freezeDeep(own.getOwnPropertyDescriptor(value, names[i]).value);
}
