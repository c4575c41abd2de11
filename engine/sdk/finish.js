// The end of a call (engine/src/room.c).

import { emit } from "./call.js";
import { allowed } from "./limits.js";
import { native } from "./native.js";

export const { discard, finish, hasActed, undo } = native;

/** Called once, while the component is built: the class's budget is known from here on. */
export function checkSize() {
  native.allow(allowed);
  native.checkSize();
}

export function refuse(reason) {
  undo();
  emit("refuse", [reason], "refuse: the reason", true);
}
