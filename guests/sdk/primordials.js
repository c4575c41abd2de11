// The engine's own functions, taken before any author's code runs.
//
// A script may replace `JSON.stringify` or add to `Map.prototype`; the SDK's behavior must not change with it.

const call = Function.prototype.call;
const free = (method) => call.bind(method);

/** `bind(f, self)` is `f`, always called on `self`. */
export const bind = free(Function.prototype.bind);

export const { parse, stringify } = JSON;
export const { apply, ownKeys, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
export const { create, defineProperty, freeze, hasOwn, isFrozen, keys, preventExtensions, setPrototypeOf, values } = Object;
export const objectPrototype = Object.prototype;
export const arrayPrototype = Array.prototype;
export const { isArray } = Array;
export const { isInteger, parseInt } = Number;
export const { floor } = Math;
export const { TypeError, RangeError, Error, Map, Proxy, String, Promise, Uint8Array, Float64Array, TextEncoder, TextDecoder } = globalThis;
export const { isView } = ArrayBuffer;

const { get, set, has, delete: remove, forEach } = Map.prototype;

/** A map with its methods as own properties, which is the quickest access. */
export function ownMap() {
  return Object.assign(new Map(), { get, set, has, delete: remove, forEach });
}

export const mapSize = free(Object.getOwnPropertyDescriptor(Map.prototype, "size").get);
export const join = free(Array.prototype.join);
export const test = free(RegExp.prototype.test);
export const exec = free(RegExp.prototype.exec);

/** An expression that still matches when a script has replaced `RegExp.prototype.exec`. */
export function pattern(expression) {
  return Object.defineProperty(expression, "exec", { value: RegExp.prototype.exec });
}

export const bytesSet = free(Uint8Array.prototype.set);
export const bytesSlice = free(Uint8Array.prototype.slice);
export const charCodeAt = free(String.prototype.charCodeAt);
export const toWellFormed = free(String.prototype.toWellFormed ?? repaired);
export const slice = free(String.prototype.slice);
export const includes = free(String.prototype.includes);
export const replace = free(String.prototype.replace);
export const startsWith = free(String.prototype.startsWith);
export const split = free(String.prototype.split);
export const padStart = free(String.prototype.padStart);
export const toText = free(Number.prototype.toString);
/** `[object AsyncFunction]` and the like. */
export const toTag = free(Object.prototype.toString);

function repaired() {
  return this.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}
