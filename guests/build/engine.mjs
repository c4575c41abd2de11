// Builds a component from a guest's script with the engine of this repository (engine/README.md): the engine runs the script's top
// level here, in Node's own WebAssembly, and its memory becomes the memory that every room of the kind begins with.
//
// The same script gives the same bytes: the engine has no clock, no randomness and no addresses of this machine.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** `CHORUS_ENGINE`: another one, for its tests. */
export const ENGINE = process.env.CHORUS_ENGINE ?? fileURLToPath(new URL("../../engine/engine.wasm", import.meta.url));

/** Zeros in a row that are worth an end of a data segment. */
const GAP = 64;
const PAGE = 65_536;

/** Ids of sections: of a component, and of a core module. */
const CORE_MODULE = 1;
const MEMORY = 5, DATA = 11, DATA_COUNT = 12;

let template;
/** Where the memory of a room begins; for tests. */
export let sealedAt = 0;

/** What the engine imports. Nothing waits here, so nothing happens at a safepoint. */
export const IMPORTS = { "chorus:room/meter@3.0.0": { safepoint() {} } };

/** The engine: a component, the core module in it, and where that is. */
export function engine() {
  if (template === undefined) {
    const component = readFileSync(ENGINE);
    const core = sections(component).find(({ id }) => id === CORE_MODULE);
    template = { component, core: core.body, start: core.start, end: core.end, compiled: new WebAssembly.Module(core.body) };
  }
  return template;
}

/** The component of a script. */
export function componentOf(script) {
  const { component, core, start, end } = engine();
  const module = withMemory(core, snapshot(script));
  return Buffer.concat([component.subarray(0, start), section(CORE_MODULE, module), component.subarray(end)]);
}

/** The engine's memory after the script's top level. Throws what the script has thrown, as text. */
export function snapshot(script) {
  const { exports } = new WebAssembly.Instance(engine().compiled, IMPORTS);
  const text = new TextEncoder().encode(script);
  const at = exports.script(text.length);
  new Uint8Array(exports.memory.buffer).set(text, at);
  const failed = exports.run(text.length);
  if (failed !== 0) throw new Error(textAt(exports.memory, failed));
  sealedAt = exports.seal();
  return new Uint8Array(exports.memory.buffer);
}

/** A copy of the bytes that a pointer and a length at this address name. */
export function bytesAt(memory, address) {
  const view = new DataView(memory.buffer);
  const at = view.getUint32(address, true);
  return new Uint8Array(memory.buffer).slice(at, at + view.getUint32(address + 4, true));
}

export function textAt(memory, address) { return new TextDecoder().decode(bytesAt(memory, address)); }

/** A core module that begins with this memory. */
function withMemory(core, memory) {
  const runs = nonZeroRuns(memory);
  const data = [leb128(runs.length)];
  // Each: active in memory 0, `i32.const from`, the end of the expression, and the bytes.
  for (const [from, to] of runs) data.push(Buffer.from([0, 0x41]), signedLeb128(from), Buffer.from([0x0b]), leb128(to - from), memory.subarray(from, to));
  const made = {
    [MEMORY]: Buffer.concat([leb128(1), Buffer.from([0]), leb128(memory.length / PAGE)]),
    [DATA]: Buffer.concat(data),
    [DATA_COUNT]: leb128(runs.length),
  };
  const parts = sections(core).map(({ id, start, end }) => (made[id] === undefined ? core.subarray(start, end) : section(id, made[id])));
  return Buffer.concat([core.subarray(0, 8), ...parts]);
}

function nonZeroRuns(memory) {
  const runs = [];
  for (let at = 0; at < memory.length;) {
    if (memory[at] === 0) { at += 1; continue; }
    const from = at;
    let to = at + 1;
    for (at = to; at < memory.length && at - to < GAP; at++) if (memory[at] !== 0) to = at + 1;
    runs.push([from, to]);
  }
  return runs;
}

/** After the preamble of 8 bytes comes one section after another: its id, its size, its body. */
export function sections(wasm) {
  const found = [];
  for (let at = 8; at < wasm.length;) {
    const start = at, id = wasm[at];
    const size = readLeb128(wasm, at + 1);
    at = size.end + size.value;
    found.push({ id, start, end: at, body: wasm.subarray(size.end, at) });
  }
  return found;
}

export function section(id, body) { return Buffer.concat([Buffer.from([id]), leb128(body.length), body]); }

/** An unsigned number, and the place after it. */
export function readLeb128(bytes, at) {
  let value = 0, shift = 0, byte;
  do {
    byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    shift += 7;
  } while (byte & 0x80);
  return { value, end: at };
}

export function leb128(value) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return Buffer.from(bytes);
}

function signedLeb128(value) {
  const bytes = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    const done = (value === 0 && !(byte & 0x40)) || (value === -1 && byte & 0x40);
    bytes.push(done ? byte : byte | 0x80);
    if (done) return Buffer.from(bytes);
  }
}
