// The generator of the room's randomness: sfc32, seeded for each call from its record.
//
// Seeded from the log, a replay draws the same numbers; seeded from the room's id too, two rooms never do.

import { call, callTime } from "./call.js";
import { parseInt, slice } from "./primordials.js";

let a = 0, b = 0, c = 0, counter = 0;

/** 32 fresh bits. */
export function bits() {
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
