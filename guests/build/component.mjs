// Builds a component from a bundled guest: with the engine of this repository, or, when it implements the contract itself, with
// the QuickJS componentizer, whose WASI imports are left to the host.
//
// The component's source map is in a custom section, so that the component alone is enough to find the place in the author's
// files at which an error was thrown.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { ENGINE, componentOf, leb128, section } from "./engine.mjs";
import { Mistake, NOWHERE } from "./error.mjs";
import { shownPath } from "./sources.mjs";

export const WIT = fileURLToPath(new URL("../../wit/", import.meta.url));

/** Options of the componentizer are inputs of a component: another value makes another component. */
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

export async function componentize({ bare, module, guest, map }, entry) {
  try {
    const component = bare ? await componentized(module) : componentOf(guest);
    return map.length > MAX_MAP ? component : withSection(component, SECTION, map);
  } catch (error) {
    throw new Mistake(shownPath(entry), NOWHERE, `it does not become a component of wit/room.wit: ${error.message}`);
  }
}

/** What a component is made of beside the guest's own code. */
export function toolsOf({ bare }) { return bare ? JSON.stringify(OPTIONS) : readFileSync(ENGINE); }

async function componentized(module) {
  const { componentize } = await import("componentize-qjs");
  const { component } = await componentize({ witPath: WIT, jsSource: module, ...OPTIONS });
  return component;
}

/** Appends a custom section to a component: its content begins with its name. */
function withSection(component, name, text) {
  return Buffer.concat([component, section(0, Buffer.concat([leb128(name.length), Buffer.from(name), Buffer.from(text)]))]);
}
