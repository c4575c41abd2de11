// Builds a component from a module with the QuickJS componentizer; its WASI imports are left to the host.
//
// The component's source map is in a custom section, so that the component alone is enough to find the place in the author's
// files at which an error was thrown.

import { fileURLToPath } from "node:url";

import { Mistake, NOWHERE } from "./error.mjs";
import { shownPath } from "./sources.mjs";

export const WIT = fileURLToPath(new URL("../../wit/", import.meta.url));

/** Options are inputs of a component: another value makes another component. */
export const OPTIONS = {
  world: "room",
  // A guest never waits, so the host calls it synchronously.
  sync: true,
  // The engine built for size is a third smaller, but a move takes 1.5 times as long, and JSON twice as long.
  optSize: false,
  stubWasi: false,
};

/** The section that the host reads (`host/src/guest/source_map.rs`), and the most bytes that it reads. */
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

/** Appends a custom section to a component: id 0, then the size of the rest, the name and the bytes. */
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
