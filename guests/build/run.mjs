// Runs a guest in Node's own WebAssembly: the engine with the memory of a build, behind the functions of the contract.

import { SourceMap } from "node:module";

import { IMPORTS, bytesAt, engine, textAt } from "./engine.mjs";

const PAGE = 65_536;

/** A guest that begins with this memory (see `snapshot`): `{ describe, call, exports }`. */
export function guestOf(memory) {
  const { exports } = new WebAssembly.Instance(engine().compiled, IMPORTS);
  const missing = (memory.length - exports.memory.buffer.byteLength) / PAGE;
  if (missing > 0) exports.memory.grow(missing);
  new Uint8Array(exports.memory.buffer).set(memory);
  return functionsOf({ exports });
}

/** The functions of the contract, of an instance of the engine. */
export function functionsOf({ exports }) {
  return {
    exports,
    describe: () => manifestAt(exports.memory, exports.describe()),
    call(input) {
      const at = exports.cabi_realloc(0, 0, 1, input.length);
      new Uint8Array(exports.memory.buffer).set(input, at);
      return bytesAt(exports.memory, exports.call(at, input.length));
    },
  };
}

/** The manifest at an address, as the canonical ABI places it: whether it is an error, and then its fields. */
function manifestAt(memory, address) {
  const view = new DataView(memory.buffer);
  const number = (at) => view.getUint32(at, true);
  const list = (at) => Array.from({ length: number(at + 4) }, (_, i) => textAt(memory, number(at) + 8 * i));
  return { stateVersion: number(address + 4), config: textAt(memory, address + 8), timers: list(address + 16), messages: list(address + 24) };
}

const CHANGED = "module state: ";

/**
 * What the effects of a guest that was opened with `check` report as changed in the author's modules, with the places in the
 * author's files by the bundle's map. The caches of packages are no mistake of the author.
 */
export function changesIn(effects, map) {
  const reports = effects.filter(([name, , text]) => name === "log" && text.startsWith(CHANGED));
  if (reports.length === 0) return [];
  const sources = new SourceMap(JSON.parse(map));
  const lines = reports.map(([, , text]) => text.slice(CHANGED.length).replace(/script:(\d+):(\d+)/, (known, line, column) => {
    const { originalSource, originalLine, originalColumn } = sources.findEntry(Number(line) - 1, Number(column) - 1);
    return originalSource === undefined ? known : `${originalSource}:${originalLine + 1}:${originalColumn + 1}`;
  }));
  return lines.filter((line) => !line.includes("(node_modules/"));
}
