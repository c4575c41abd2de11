// Animations that are put together from PNG images, and the size of the pictures in docs/pictures/.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { test } from "node:test";
import { deflateSync, inflateSync } from "node:zlib";

import { apng, crc32 } from "./pictures/apng.mjs";

const PICTURES = new URL("../docs/pictures/", import.meta.url);

test("an animation has each piece at its place, for its time, and without an end", () => {
  const frames = [{ png: png(3, 2, 7), x: 0, y: 0, ms: 400 }, { png: png(1, 2, 9), x: 2, y: 0, ms: 1500 }];
  const chunks = chunksOf(apng(frames));
  assert.deepEqual(chunks.map(({ type }) => type), ["IHDR", "acTL", "fcTL", "IDAT", "fcTL", "fdAT", "IEND"]);
  const [header, control, first, whole, second, piece] = chunks.map(({ body }) => body);
  // As in every PNG.
  assert.equal(crc32(Buffer.from("IEND")), 0xae426082);
  assert.deepEqual(numbers(header, 2), [3, 2]);
  assert.deepEqual(numbers(control, 2), [2, 0]);
  // The sequence number, the size and the place.
  assert.deepEqual([numbers(first, 5), first.readUInt16BE(20)], [[0, 3, 2, 0, 0], 400]);
  assert.deepEqual([numbers(second, 5), second.readUInt16BE(20)], [[1, 1, 2, 2, 0], 1500]);
  assert.deepEqual([...inflateSync(whole)], [...rows(3, 2, 7)]);
  assert.deepEqual([numbers(piece, 1), [...inflateSync(piece.subarray(4))]], [[2], [...rows(1, 2, 9)]]);
});

test("pieces that do not fit together are refused", () => {
  assert.throws(() => apng([{ png: png(3, 2, 7), x: 1, y: 0, ms: 1 }]), /not the whole picture/);
  assert.throws(() => apng([{ png: png(3, 2, 7), x: 0, y: 0, ms: 1 }, { png: png(1, 1, 7, 2), x: 0, y: 0, ms: 1 }]), /different formats/);
  assert.throws(() => apng([{ png: Buffer.from("GIF89a.."), x: 0, y: 0, ms: 1 }]), /not a PNG/);
});

test("no picture has a megabyte, and all together less than two and a half", () => {
  const sizes = readdirSync(PICTURES).map((name) => statSync(new URL(name, PICTURES)).size);
  assert.ok(Math.max(...sizes) < 1_000_000, `${Math.max(...sizes)}`);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 2_500_000);
  assert.ok(chunksOf(readFileSync(new URL("killed.png", PICTURES))).filter(({ type }) => type === "fdAT").length > 10);
});

/** An image whose every byte is `value`, of four bytes a dot; `kind`: the format's number for that. */
function png(width, height, value, kind = 6) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, kind], 8);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...[["IHDR", header], ["IDAT", deflateSync(rows(width, height, value))], ["IEND", Buffer.alloc(0)]].map(([type, body]) => {
    const named = Buffer.concat([Buffer.from(type), body]), length = Buffer.alloc(4), sum = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  })]);
}

/** Each row has a filter before it. */
function rows(width, height, value) { return Buffer.concat(Array.from({ length: height }, () => Buffer.concat([Buffer.from([0]), Buffer.alloc(4 * width, value)]))); }

function chunksOf(bytes) {
  const chunks = [];
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at), named = bytes.subarray(at + 4, at + 8 + length);
    assert.equal(bytes.readUInt32BE(at + 8 + length), crc32(named));
    chunks.push({ type: named.toString("latin1", 0, 4), body: named.subarray(4) });
    at += length + 12;
  }
  return chunks;
}

function numbers(bytes, count) { return Array.from({ length: count }, (_, at) => bytes.readUInt32BE(4 * at)); }
