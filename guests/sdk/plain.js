// Whether a value is plain data: what JSON would lose silently is an error that names its place.

import { LIMITS } from "./limits.js";
import { getOwnPropertyDescriptor, getPrototypeOf, isArray, objectPrototype, arrayPrototype, ownKeys, stringify, test, TypeError } from "./primordials.js";

/** Throws if a part of `value` would be lost, as `this.state.bag.m is a Map`. `whole` is what the value is called. */
export function checkPlain(value, whole) {
  check(value, whole, []);
}

/** `within`: the objects around the value. Cycles and what nests too deeply are left to the printer. */
function check(value, path, within) {
  if (typeof value === "number") {
    if (value - value !== 0) throw notPlain(path, `${value}`);
    return;
  }
  if (typeof value === "function" || typeof value === "symbol") throw notPlain(path, `a ${typeof value}`);
  if (typeof value !== "object" || value === null || within.length > LIMITS.nesting || isWithin(within, value)) return;
  // Its own way to be printed, as a date has; what comes of it is checked by the printer.
  if (typeof value.toJSON === "function") return;
  const proto = getPrototypeOf(value), array = isArray(value);
  if (proto !== null && proto !== (array ? arrayPrototype : objectPrototype)) throw notPlain(path, nameOf(proto));
  within[within.length] = value;
  checkParts(value, path, within, array);
  within.length -= 1;
}

function checkParts(value, path, within, array) {
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (array && key === "length") continue;
    if (typeof key === "symbol") throw new TypeError(`${path} has a symbol as a key, which would be lost; it must be plain JSON data`);
    const known = getOwnPropertyDescriptor(value, key);
    const part = partOf(path, key, array);
    if (!known.enumerable || (array && !test(INDEX, key))) throw new TypeError(`${part} would be lost; ${path} must be plain JSON data`);
    check(known.get === undefined ? known.value : value[key], part, within);
  }
}

const INDEX = /^\d+$/;
const WORD = /^[A-Za-z_$][\w$]*$/;

function partOf(path, key, array) {
  if (array && test(INDEX, key)) return `${path}[${key}]`;
  return test(WORD, key) ? `${path}.${key}` : `${path}[${stringify(key)}]`;
}

function isWithin(within, value) {
  for (let i = 0; i < within.length; i++) if (within[i] === value) return true;
  return false;
}

/** Of a class, by its prototype, with an article. */
function nameOf(proto) {
  const { constructor } = proto;
  if (typeof constructor !== "function" || typeof constructor.name !== "string" || constructor.name === "") return "an object of a class";
  return `${test(/^[AEIO]/, constructor.name) ? "an" : "a"} ${constructor.name}`;
}

function notPlain(path, is) { return new TypeError(`${path} is ${is}; it must be plain JSON data`); }
