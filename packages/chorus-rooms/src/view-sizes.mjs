// A view that is so large that a server sends it whole at each change (`LARGE_VIEW`): a warning for each kind, with the largest size.
//
// Each test file is a process of its own. The processes write into the file that `CHORUS_TEST_VIEWS` names, from which `chorus test` makes one
// warning for each kind; without it, as under `node --test`, a process prints its own.

import { appendFileSync } from "node:fs";

import { LARGE_VIEW } from "./virtual-room.mjs";

const largest = new Map();

export function noteView(kind, bytes) {
  if (bytes <= LARGE_VIEW) return;
  if (largest.size === 0) process.once("exit", report);
  largest.set(kind, Math.max(bytes, largest.get(kind) ?? 0));
}

function report() {
  const file = process.env.CHORUS_TEST_VIEWS;
  for (const [kind, bytes] of largest) {
    if (file === undefined) console.error(`warning: ${largeView(kind, bytes)}`);
    else appendFileSync(file, `${JSON.stringify({ kind, bytes })}\n`);
  }
}

/** What `report` has written, as warnings: one for each kind. */
export function warningsOf(text) {
  const sizes = new Map();
  for (const { kind, bytes } of text.split("\n").filter(Boolean).map((line) => JSON.parse(line))) sizes.set(kind, Math.max(bytes, sizes.get(kind) ?? 0));
  return [...sizes].map(([kind, bytes]) => largeView(kind, bytes));
}

/** The warning; undefined for a view that is not too large. */
export function largeView(kind, bytes) {
  if (bytes <= LARGE_VIEW) return undefined;
  return `${kind}: a view has ${(bytes / 1024).toFixed(0)} KiB. One of more than ${LARGE_VIEW / 1024} KiB is sent whole at each change, to each member: show the newest part of a list, and send older parts as the reply to a message`;
}
