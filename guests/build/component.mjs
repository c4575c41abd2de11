// A module into a component, by the QuickJS componentizer; WASI is left for the host to serve.
//
// The component has its source map in a custom section, so that whoever has the component can say where in the author's
// files something was thrown.

import { fileURLToPath } from "node:url";

import { Mistake, NOWHERE } from "./error.mjs";
import { shownPath } from "./sources.mjs";

export const WIT = fileURLToPath(new URL("../../wit/", import.meta.url));

/** Part of what a component is made from: another value makes another component. */
export const OPTIONS = {
  world: "room",
  // A guest never waits, and the host needs nothing asynchronous to call it.
  sync: true,
  // The engine built for size is a third smaller, and takes half as long again for a move: JSON twice as long.
  optSize: false,
  stubWasi: false,
};

/** The section that the host reads (`host/src/guest/source_map.rs`), and what it reads at most. */
const SECTION = "chorus:source-map";
const MAX_MAP = 4 << 20;

export async function componentize({ module, map }, entry) {
  const { componentize } = await import("componentize-qjs");
  try {
    const { component } = await componentize({ witPath: WIT, jsSource: module, ...OPTIONS });
    return map.length > MAX_MAP ? component : withSection(component, SECTION, map);
  } catch (error) {
    throw new Mistake(shownPath(entry), NOWHERE, `it does not become a component of wit/room.wit: ${error.message}`);
  }
}

/** A component with a custom section at its end: id 0, then the size of what follows, the name and the bytes. */
function withSection(component, name, text) {
  const sized = (bytes) => Buffer.concat([leb128(bytes.length), bytes]);
  const content = Buffer.concat([sized(Buffer.from(name)), Buffer.from(text)]);
  return Buffer.concat([component, Buffer.from([0]), sized(content)]);
}

function leb128(value) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return Buffer.from(bytes);
}
