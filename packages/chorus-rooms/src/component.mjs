// A built room in Node's own WebAssembly: the core module of the component that a server would run, with its memory as the build has
// left it. There is no second SDK: what a test sees is what the published bytes do.
//
// An instance costs a millisecond, and putting one's memory back a tenth of that, so instances are used again. The engine's allocator begins
// where the build has left it, at any size of the memory, so a room does not depend on what its instance has done before. One
// that has trapped is not used again.
//
// Bounds: components of the SDK alone, whose engine meters itself and imports nothing but its safepoint. Those of other languages need
// WASI, which a server has and this has not.

import { readFileSync } from "node:fs";

import { oneByOne } from "../../../guests/build/contract.mjs";
import { IMPORTS, sections } from "../../../guests/build/engine.mjs";
import { changesIn, functionsOf } from "../../../guests/build/run.mjs";
import { readable } from "./places.mjs";

const CORE_MODULE = 1, CUSTOM = 0;
const MAP = "chorus:source-map";
const EXPORTS = ["memory", "cabi_realloc", "describe", "call"];
/** Instances that are kept for later. A room and its twin need two at a time. */
const KEPT = 4;
/** Bytes by which the memory of one that is kept may have grown. */
const GROWN = 1 << 20;

export class Component {
  #module; #memory; #free = [];

  /** `shown`: the folder that the paths in its source map begin in, for messages; usually `rooms`. */
  constructor(bytes, { kind, shown = "" } = {}) {
    this.bytes = bytes;
    this.kind = kind;
    this.core = coreOf(bytes);
    this.#module = compiled(this.core);
    this.map = mapOf(bytes);
    this.shown = shown;
    const first = this.#instantiated();
    this.#memory = new Uint8Array(first.exports.memory.buffer).slice();
    this.manifest = first.describe();
    this.config = JSON.parse(this.manifest.config);
    this.#free.push(first);
  }

  static read(file, options) { return new Component(readFileSync(file), options); }

  /** One that has handled nothing, behind the functions of the contract. */
  instance() {
    const guest = this.#free.pop() ?? this.#instantiated();
    const calls = oneByOne(guest);
    calls.guest = guest;
    return calls;
  }

  /** One that shares nothing with any other. */
  freshInstance() { return oneByOne(this.#instantiated()); }

  /** Takes an instance back that is not used any longer. */
  release({ guest, isLost }) {
    const { buffer } = guest.exports.memory;
    if (isLost || this.#free.length >= KEPT || buffer.byteLength > this.#memory.length + GROWN) return;
    new Uint8Array(buffer).set(this.#memory);
    new Uint8Array(buffer, this.#memory.length).fill(0);
    this.#free.push(guest);
  }

  /** Bytes of memory that an instance has. */
  memoryOf({ guest }) { return guest.exports.memory.buffer.byteLength; }

  /** What the effects of a call report as module state that it has left changed, each with its place. */
  changes(effects) { return changesIn(effects, this.map).map((text) => this.#placed(text)); }

  /** An error's text with the places in the author's files. */
  readable(text) { return this.#placed(readable(text, this.map)); }

  #placed(text) { return this.shown === "" ? text : text.replace(/\((?!sdk\/|node_modules\/|\/)([^\s()]+:\d+:\d+)\)/g, `(${this.shown}/$1)`); }

  #instantiated() { return functionsOf(new WebAssembly.Instance(this.#module, IMPORTS)); }
}

export class NotRunnable extends Error {}

/** The core module in a component. */
function coreOf(bytes) {
  const isComponent = bytes.length >= 8 && bytes.readUInt32LE(0) === 0x6d736100 && bytes.readUInt16LE(6) === 1;
  if (!isComponent) throw new NotRunnable("it is no WebAssembly component");
  const core = sections(bytes).find(({ id }) => id === CORE_MODULE);
  if (core === undefined) throw new NotRunnable("the component has no core module of its own, so it is not made by the SDK: only a server runs it");
  return core.body;
}

function compiled(core) {
  let module;
  try {
    module = new WebAssembly.Module(core);
  } catch (error) {
    throw new NotRunnable(`its core module is damaged: ${error.message}`);
  }
  const missing = EXPORTS.filter((name) => !WebAssembly.Module.exports(module).some((one) => one.name === name));
  const foreign = WebAssembly.Module.imports(module).find(({ module: from, name }) => IMPORTS[from]?.[name] === undefined);
  if (missing.length > 0 || foreign) {
    const why = foreign ? `it imports ${foreign.module}` : `it has no ${missing[0]}`;
    throw new NotRunnable(`the component is not made by the SDK (${why}): only a server runs it`);
  }
  return module;
}

/** The source map in its custom section; an empty one when there is none. */
function mapOf(bytes) {
  for (const { id, body } of sections(bytes)) {
    if (id === CUSTOM && body[0] === MAP.length && body.toString("utf8", 1, 1 + MAP.length) === MAP) return body.toString("utf8", 1 + MAP.length);
  }
  return JSON.stringify({ version: 3, sources: [], names: [], mappings: "" });
}
