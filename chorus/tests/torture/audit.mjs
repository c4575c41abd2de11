/** The other judge: `chorus audit`, which holds what was played against the rooms' channels. */

import { run } from "../../../testing/services/programs.mjs";

/** Prints what it has looked at, and resolves with the violations: one with all that it found, or none. */
export async function audit(bin, args, environment = {}) {
  const env = { ...process.env, ...environment };
  try {
    console.log(`\n${(await run(bin, ["audit", ...args], { env })).trim()}`);
    return [];
  } catch (error) {
    return [{ rule: "the audit", who: "chorus audit", what: error.message.trim() }];
  }
}
