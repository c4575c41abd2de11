// The current call, in the engine's memory (engine/src/call.c), behind the names of guests/sdk/call.js.

import { plain } from "./json.js";
import { native } from "./native.js";
import { slice } from "./primordials.js";

export const { call, emit, callTime } = native;

/** Keeps as much of a log line as fits: too long a log is no error. A line costs one unit more than its text has. */
export function keepLine(level, text) {
  const left = native.logLeft();
  if (left < 0) return native.logCounted(0, text.length + 1);
  const kept = text.length <= left ? text : plain(slice(text, 0, left));
  native.logCounted(kept.length + 1, text.length - kept.length);
  native.addLine(level, kept);
}

export function addLine(level, text) { native.addLine(level, plain(text)); }
