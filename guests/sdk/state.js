// `this.state`: its text, and the value that the current call has parsed from it.
//
// This makes a room deterministic: between calls, the state is the text that `save` returns. A call that reads it parses
// that text, so it sees what a restored instance would see, and nothing that earlier calls left in their own objects.

import { call } from "./call.js";
import { toJson } from "./json.js";
import { parse, TypeError } from "./primordials.js";

let text = "{}";
let value;
/** Whether the current call has read or set the state. */
export let touched = false;

export function stateText() { return text; }

export function getState() {
  if (!touched) {
    value = parse(text);
    touched = call.touched = true;
  }
  return value;
}

export function setState(given) {
  value = given;
  touched = call.touched = true;
}

/** Stores the value as text. Returns whether that changed the text. */
export function commitState() {
  const made = printed();
  if (made === text) return false;
  text = made;
  return true;
}

export function stateDiffers() { return touched && printed() !== text; }

export function discardState() {
  touched = false;
  value = undefined;
}

function printed() {
  if (value === undefined) throw new TypeError("this.state is undefined; it must be plain JSON data");
  return toJson(value, "this.state");
}
