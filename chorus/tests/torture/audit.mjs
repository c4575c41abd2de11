/** The second checker: `chorus audit`, which checks the history against the rooms' channels. */

import { run } from "../../../testing/services/programs.mjs";

/** Prints the audit's report, and resolves with the violations: one with the whole report of a failed audit, or none. */
export async function audit(bin, args, environment = {}) {
  const env = { ...process.env, ...environment };
  try {
    console.log(`\n${(await run(bin, ["audit", ...args], { env })).trim()}`);
    return [];
  } catch (error) {
    return [{ rule: "the audit", who: "chorus audit", what: error.message.trim() }];
  }
}
