// A module into a component, by the QuickJS componentizer; WASI is left for the host to serve.

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

export async function componentize(module, entry) {
  const { componentize } = await import("componentize-qjs");
  try {
    const { component } = await componentize({ witPath: WIT, jsSource: module, ...OPTIONS });
    return component;
  } catch (error) {
    throw new Mistake(shownPath(entry), NOWHERE, `it does not become a component of wit/room.wit: ${error.message}`);
  }
}
