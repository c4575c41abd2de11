// The pictures of the README, from the product itself: see --help.

import { argumentsOf } from "./arguments.mjs";

const HELP = `Usage: just pictures

Plays on a server of its own by headless Chromium, and takes the pictures in docs/pictures/: game.png, a game on a phone and on a desktop,
inspector.png, and killed.png, a recording (APNG) of a server that is killed and started again in mid-game. Look at them before you commit them. It
takes the binary that CHORUS_BIN names.
`;

argumentsOf(HELP);
const { take } = await import("./pictures/take.mjs");
await take();
