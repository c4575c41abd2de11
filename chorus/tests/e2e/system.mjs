/**
 * What the stories are told of: one process, or a cluster of them. `CHORUS_SYSTEM` names a module that exports
 * `startSystem()`; without it, it is `chorus dev`.
 *
 * A system has
 *     urls        the addresses that players connect to: one for each edge
 *     kill()      ends by `kill -9` whatever serves players, in mid-sentence
 *     revive()    brings it back, on the same data and at the same addresses
 *     stop()      ends it, and whatever it kept goes
 */

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";

export async function startSystem() {
  const { startSystem: start } = process.env.CHORUS_SYSTEM ? await import(process.env.CHORUS_SYSTEM) : { startSystem: embedded };
  return start();
}

/** One `chorus dev`. Its port stays its own, so that clients find it again. */
async function embedded() {
  const server = await Server.start({ port: await freePort() });
  return {
    urls: [server.url],
    kill: () => server.kill9(),
    revive: () => server.start(),
    stop: () => server.stop(),
  };
}
