// A test file of `chorus test`: random play of the kinds that no file of the project has a `play` for, by what every room must keep to.

import { play } from "./test.mjs";

for (const kind of (process.env.CHORUS_TEST_KINDS ?? "").split(",").filter(Boolean)) play(kind);
