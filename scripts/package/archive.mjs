// Tar archives whose bytes depend on their contents alone: entries in the order of their paths, one time, no names of users.

import { gzipSync } from "node:zlib";

const BLOCK = 512;
const TYPES = { file: "0", folder: "5" };
const LONGEST_PATH = 100;

/**
 * The bytes of a tar archive. `entries`: `{ path, bytes, mode, owner }`, where a folder's path ends in `/`. `seconds`: the time of all of them,
 * since 1970.
 */
export function tar(entries, seconds) {
  const sorted = [...entries].sort((one, other) => (one.path < other.path ? -1 : 1));
  const parts = sorted.flatMap(({ path, bytes = Buffer.alloc(0), mode, owner = 0 }) => {
    const type = path.endsWith("/") ? TYPES.folder : TYPES.file;
    return [header({ path, size: bytes.length, mode: mode ?? (type === TYPES.folder ? 0o755 : 0o644), owner, seconds, type }), bytes, Buffer.alloc(-bytes.length & (BLOCK - 1))];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** Without a name and a time. */
export function gzip(bytes) { return gzipSync(bytes, { level: 6 }); }

/** Of the ustar format. */
function header({ path, size, mode, owner, seconds, type }) {
  if (Buffer.byteLength(path) > LONGEST_PATH) throw new Error(`${path} is too long for an archive`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value, at, length) => block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  block.write(path, 0);
  octal(mode, 100, 8);
  octal(owner, 108, 8);
  octal(owner, 116, 8);
  octal(size, 124, 12);
  octal(seconds, 136, 12);
  block.fill(" ", 148, 156);
  block.write(type, 156, "latin1");
  block.write("ustar\u000000", 257, "latin1");
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 7);
  return block;
}
