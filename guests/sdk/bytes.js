// The length of a text in bytes of UTF-8, where the host counts these. Expensive: for short texts, and for those near a limit.

import { charCodeAt, pattern, test } from "./primordials.js";

const BEYOND_ASCII = pattern(/[^\0-\x7f]/);

export function byteLength(text) {
  if (!test(BEYOND_ASCII, text)) return text.length;
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = charCodeAt(text, i);
    // Either half of a surrogate pair is two of its four bytes; `plain` has replaced halves that are alone.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes;
}

/** Whether a text has at most `limit` bytes. A unit has at most three. */
export function fits(text, limit) {
  return text.length * 3 <= limit || (text.length <= limit && byteLength(text) <= limit);
}
