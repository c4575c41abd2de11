// The room's random numbers, and the part of `crypto` that packages use.

import { bits, float } from "./bits.js";
import { floor, freeze, isArray, isInteger, isView, padStart, parseInt, slice, toText, TypeError, Uint8Array } from "./primordials.js";

function int(n) {
  if (!isInteger(n) || n < 1) throw new TypeError(`random.int(n): n must be a whole number, 1 or more, not ${n}`);
  return floor(float() * n);
}

function pick(list) {
  checkList(list, "pick");
  return list.length === 0 ? undefined : list[int(list.length)];
}

function shuffle(list) {
  checkList(list, "shuffle");
  const mixed = [];
  for (let i = 0; i < list.length; i++) mixed[i] = list[i];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = int(i + 1);
    const held = mixed[i];
    mixed[i] = mixed[j];
    mixed[j] = held;
  }
  return mixed;
}

function checkList(list, what) {
  if (!isArray(list)) throw new TypeError(`random.${what}(list): it takes an array`);
}

/** The part of `crypto` that packages use, from the room's randomness: the same records give the same bytes. */
export const crypto = freeze({
  getRandomValues(array) {
    if (!isView(array)) throw new TypeError("crypto.getRandomValues(array) takes an array of whole numbers, a Uint8Array for instance");
    if (array.byteLength > 65536) throw new TypeError(`crypto.getRandomValues: 65536 bytes at once at most, not ${array.byteLength}`);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let i = 0; i < bytes.length; i++) bytes[i] = bits() >>> 24;
    return array;
  },

  randomUUID() {
    const word = () => padStart(toText(bits(), 16), 8, "0");
    const a = word(), b = word(), c = word(), d = word();
    const variant = toText((parseInt(slice(c, 0, 1), 16) & 3) | 8, 16);
    return `${a}-${slice(b, 0, 4)}-4${slice(b, 5)}-${variant}${slice(c, 1, 4)}-${slice(c, 4)}${d}`;
  },
});

export const random = { float, int, pick, shuffle };
