// For `node --import`: the process imports TypeScript (`typescript-hooks.mjs`), and stacks have the author's lines.

import module from "node:module";

import * as hooks from "./typescript-hooks.mjs";

process.setSourceMapsEnabled(true);
// From Node 22.15 on there are hooks in the thread that imports.
if (module.registerHooks !== undefined) module.registerHooks({ resolve: hooks.resolve, load: hooks.load });
else module.register("./typescript-hooks.mjs", import.meta.url);
