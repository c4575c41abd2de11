// Which timers are pending (engine/src/timers.c).

import { native } from "./native.js";

export const { isPending, pendingCount, setPending } = native;

export function openTimers(names) {
  for (let i = 0; i < names.length; i++) setPending(names[i], true);
  native.beginTimers();
}
