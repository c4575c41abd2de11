// `chorus new`: creates a project, as `npm create chorus-rooms` does.

import { main as create } from "../../../create-chorus-rooms/src/command.mjs";

export function main(args) {
  return create(args, { program: "chorus new" });
}
