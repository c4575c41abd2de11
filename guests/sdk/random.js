// The room's randomness: sfc32, seeded for each call from its record.
//
// Seeded from the log, a replay draws the same numbers; seeded from the room's id too, two rooms never do.

import { call, callTime } from "./call.js";
import { floor, freeze, isArray, isInteger, isView, padStart, parseInt, slice, toText, TypeError, Uint8Array } from "./primordials.js";

let a = 0, b = 0, c = 0, counter = 0;

/** 32 fresh bits. */
function bits() {
  if (!call.seeded) seed();
  const sum = (((a + b) | 0) + counter) | 0;
  counter = (counter + 1) | 0;
  a = b ^ (b >>> 9);
  b = (c + (c << 3)) | 0;
  c = ((((c << 21) | (c >>> 11)) | 0) + sum) | 0;
  return sum >>> 0;
}

function seed() {
  callTime("randomness");
  a = word(0);
  b = word(1);
  c = word(2);
  counter = word(3);
  call.seeded = call.used = true;
  // The first outputs are correlated with the seed.
  for (let round = 0; round < 8; round++) bits();
}

/** One of the eight words of this call's randomness. */
function word(n) {
  return parseInt(slice(call.chance, n * 8, n * 8 + 8), 16) | 0;
}

/** From 0 up to, and without, 1; 53 bits of it. */
export function float() {
  return ((bits() >>> 5) * 67108864 + (bits() >>> 6)) / 9007199254740992;
}

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
