// `this.state`: a live object between calls, and the text that counts (engine/src/live.c).

import { native } from "./native.js";

export const { getState, setState, commitState, discard: discardState } = native;
