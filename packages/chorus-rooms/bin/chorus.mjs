#!/usr/bin/env node
// The command `chorus`: what concerns rooms alone runs here, in Node; every other command is the native program's.

import { main } from "../src/launch.mjs";

await main(process.argv.slice(2));
