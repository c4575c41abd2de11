#!/usr/bin/env node
// `npm create chorus-rooms my-game`: a new project.

import { main } from "../src/command.mjs";

process.exitCode = await main(process.argv.slice(2), { program: "npm create chorus-rooms", separator: "-- " });
