// `this.state`: the text that counts, and the value that the call in hand has made of it.
//
// What makes a room deterministic is here: the state lives as the text that `save` gives. A call that looks at it parses
// that text, so it sees what a restored instance would see, and nothing that earlier calls left in their own objects.

import { call } from "./call.js";
import { toJson } from "./json.js";
import { parse, TypeError } from "./primordials.js";

let text = "{}";
let value;
/** Whether there is a value. */
export let looked = false;

export function stateText() { return text; }

export function getState() {
  if (!looked) {
    value = parse(text);
    looked = call.looked = true;
  }
  return value;
}

export function setState(given) {
  value = given;
  looked = call.looked = true;
}

/** Keeps what the script has made of it. Whether it is something new. */
export function commitState() {
  const made = printed();
  if (made === text) return false;
  text = made;
  return true;
}

export function stateDiffers() { return looked && printed() !== text; }

export function forgetState() {
  looked = false;
  value = undefined;
}

function printed() {
  if (value === undefined) throw new TypeError("this.state is undefined; it must be plain JSON data");
  return toJson(value, "this.state");
}
