// The encoding of the contract's buffers: the tables of `wit/room.wit`, and the reading and writing of their fields.
//
// UTF-8 is that of Node, in which the SDK runs by itself: see `compiled` in guests/test/story.mjs. The engine has an encoding of its
// own, and so has no use for this module.
//
// Fields are named by letters: a flag `b`, a byte `y`, an id `i`, several ids `l`, a text `t`, an integer `n`, a double `f`, the
// rest `r`; of events also a joining member `j`.

import { bytesSet, bytesSlice, Float64Array, padStart, parseInt, slice, TextDecoder, TextEncoder, toText, Uint8Array } from "./primordials.js";

/** Undefined where a guest is built, and nothing is encoded. */
const encoder = TextEncoder && new TextEncoder(), decoder = TextDecoder && new TextDecoder("utf-8", { ignoreBOM: true });

export const OUTCOMES = { done: 0x01, threw: 0x02, saved: 0x03, exhausted: 0x04 };

/** The tag and the fields of each effect. */
export const EFFECTS = {
  admit: [0x01, "b"], reply: [0x02, "r"], refuse: [0x03, "r"], send: [0x04, "itr"], broadcast: [0x05, "tlr"], view: [0x06, "r"],
  "view-of": [0x07, "ir"], "move-to": [0x08, "iir"], kick: [0x09, "ir"], "create-room": [0x0a, "tnr"], "send-room": [0x0b, "ir"],
  "set-timer": [0x0c, "tfr"], "cancel-timer": [0x0d, "r"], lock: [0x0e, ""], unlock: [0x0f, ""], metadata: [0x10, "r"],
  end: [0x11, "r"], log: [0x12, "yr"], sit: [0x13, "i"], stand: [0x14, "i"], request: [0x15, "ttftr"], identify: [0x18, ""],
  report: [0x19, "itr"],
};

export const LEVELS = { debug: 0, info: 1, warn: 2, error: 3 };

export const OPEN = 0x01, SAVE = 0x02;

/** The name and the fields of each event, by its tag. */
export const EVENTS = {
  0x1d: ["answer", "tttr"],
  0x10: ["create", "r"], 0x11: ["join", "ijtr"], 0x12: ["drop", "i"], 0x13: ["reconnect", "i"], 0x14: ["leave", "ir"],
  0x15: ["message", "itr"], 0x16: ["timer", "tr"], 0x17: ["room-message", "ir"], 0x18: ["room-end", "itr"],
  0x19: ["move-failed", "iir"], 0x1a: ["dispose", "r"], 0x1e: ["identify", "itttr"], 0x1f: ["erase", "r"],
};

// Writing, into a buffer that grows.

export function newBuffer() { return { bytes: new Uint8Array(256), length: 0 }; }

/** What was written. */
export function written(buffer) { return bytesSlice(buffer.bytes, 0, buffer.length); }

/** Makes place for so many bytes more. */
function reach(to, more) {
  if (to.length + more <= to.bytes.length) return;
  let size = to.bytes.length;
  while (size < to.length + more) size *= 2;
  const bytes = new Uint8Array(size);
  bytesSet(bytes, to.bytes, 0);
  to.bytes = bytes;
}

/** The bytes of a tag, a length and fields. */
export function tagged(tag, kinds, fields) {
  const to = newBuffer();
  putU8(to, tag);
  putU32(to, 0);
  for (let i = 0; i < kinds.length; i++) putField(to, kinds[i], fields[i]);
  setU32(to, 1, to.length - 5);
  return written(to);
}

function putField(to, kind, value) {
  switch (kind) {
    case "b": putU8(to, value ? 1 : 0); break;
    case "y": putU8(to, value); break;
    case "i": putId(to, value); break;
    case "l":
      putU32(to, value.length);
      for (let i = 0; i < value.length; i++) putId(to, value[i]);
      break;
    case "t": putText(to, value); break;
    case "n": putU32(to, value); break;
    case "f": putDouble(to, value); break;
    default: putUtf8(to, value);
  }
}

export function putU8(to, byte) {
  reach(to, 1);
  to.bytes[to.length++] = byte;
}

export function putU32(to, number) {
  reach(to, 4);
  to.length += 4;
  setU32(to, to.length - 4, number);
}

function setU32({ bytes }, at, number) {
  for (let i = 0; i < 4; i++) bytes[at + i] = number >>> (8 * i);
}

const double = new Float64Array(1), ofDouble = new Uint8Array(double.buffer);

function putDouble(to, number) {
  double[0] = number;
  putAll(to, ofDouble);
}

function putId(to, digits) {
  for (let i = 0; i < 32; i += 2) putU8(to, parseInt(slice(digits, i, i + 2), 16));
}

export function putText(to, text) {
  const at = to.length;
  putU32(to, 0);
  putUtf8(to, text);
  setU32(to, at, to.length - at - 4);
}

/** The text has no half of a surrogate pair. */
export function putUtf8(to, text) { putAll(to, encoder.encode(text)); }

export function putAll(to, bytes) {
  reach(to, bytes.length);
  bytesSet(to.bytes, bytes, to.length);
  to.length += bytes.length;
}

// Reading. A reader is the bytes, the place of the next field, and the end.

export function readerOf(bytes) { return { bytes, at: 0, end: bytes.length }; }

export function takeU8(from) { return from.bytes[from.at++]; }

export function takeU32(from) {
  const { bytes, at } = from;
  from.at += 4;
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** One below 2^53. */
export function takeU64(from) {
  const low = takeU32(from);
  return low + takeU32(from) * 0x1_0000_0000;
}

/** A reader of the next bytes. */
export function takePart(from, length) {
  const { bytes, at } = from;
  from.at += length;
  return { bytes, at, end: at + length };
}

/** Bytes as hexadecimal digits. */
export function takeDigits(from, count) {
  let digits = "";
  for (let i = 0; i < count; i++) digits += padStart(toText(takeU8(from), 16), 2, "0");
  return digits;
}

export function takeText(from) { return restOf(takePart(from, takeU32(from))); }

/** The text up to the end. */
export function restOf(from) {
  const { bytes, at, end } = from;
  from.at = end;
  return decoder.decode(bytesSlice(bytes, at, end));
}

/** The fields of an event. */
export function takeFields(from, kinds) {
  const fields = [];
  for (let i = 0; i < kinds.length; i++) fields[i] = takeField(from, kinds[i]);
  return fields;
}

function takeField(from, kind) {
  switch (kind) {
    case "i": return takeDigits(from, 16);
    case "j": return takeJoining(from);
    case "t": return takeText(from);
    default: return restOf(from);
  }
}

function takeJoining(from) {
  const member = { spectator: takeU8(from) === 1, player: takeText(from), name: takeText(from) };
  // The room that it comes from, which the SDK does not need.
  takePart(from, 16 * takeU32(from));
  return member;
}
