// Animated PNG (APNG) from pieces that are PNG images themselves: what browsers draw, without a codec of our own.
//
// The first piece is the whole picture; each further one is the rectangle that differs from the frame before, transparent where it does not. Their compressed data is taken over, after
// it is compressed again as well as zlib can.

import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
/** The frame before stays, and this one is drawn over it. */
const OVER = Buffer.from([0, 1]);

/** `frames`: `{ png, x, y, ms }`: a piece, where it is, and for how many milliseconds the frame is shown. It is played without an end. */
export function apng(frames) {
  const [first] = frames, { header, size: [width, height] } = parsed(first.png);
  let sequence = 0;
  const numbered = (...parts) => Buffer.concat([u32(sequence++), ...parts]);
  const parts = frames.flatMap(({ png, x, y, ms }, at) => {
    const { header: own, size, data } = parsed(png);
    if (!own.subarray(8).equals(header.subarray(8))) throw new Error("the pieces have different formats");
    const control = chunk("fcTL", numbered(u32(size[0]), u32(size[1]), u32(x), u32(y), u16(Math.round(ms)), u16(1000), OVER));
    return [control, at === 0 ? chunk("IDAT", data) : chunk("fdAT", numbered(data))];
  });
  if (first.x !== 0 || first.y !== 0) throw new Error("the first piece is not the whole picture");
  const size = Buffer.concat([u32(width), u32(height), header.subarray(8)]);
  return Buffer.concat([SIGNATURE, chunk("IHDR", size), chunk("acTL", Buffer.concat([u32(frames.length), u32(0)])), ...parts, chunk("IEND", Buffer.alloc(0))]);
}

/** A PNG's header, its size, and its compressed data. */
export function parsed(png) {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error("not a PNG");
  const data = [];
  let header;
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at), type = png.toString("latin1", at + 4, at + 8), body = png.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") header = body;
    if (type === "IDAT") data.push(body);
    at += length + 12;
  }
  return { header, size: [header.readUInt32BE(0), header.readUInt32BE(4)], data: deflateSync(inflateSync(Buffer.concat(data)), { level: 9 }) };
}

/** The same PNG, compressed again, without what is not needed to show it. */
export function smaller(png) {
  const { header, data } = parsed(png);
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type, body) {
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  return Buffer.concat([u32(body.length), named, u32(crc32(named))]);
}

/** The checksum of PNG. Node's own came with 20.15. */
export function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u16(value) {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(Math.min(value, 65_535));
  return bytes;
}
