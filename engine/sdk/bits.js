// The generator of the room's randomness (engine/src/call.c).

import { native } from "./native.js";

export const { bits, float } = native;
