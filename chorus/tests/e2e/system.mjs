/**
 * The system that the stories test: one process, or a cluster of them. `CHORUS_SYSTEM` names a module that exports
 * `startSystem()`; the default is `chorus dev`.
 *
 * A system has
 *     urls        the addresses that players connect to: one for each edge
 *     kill()      ends the processes that serve players, by `kill -9`
 *     revive()    starts them again, on the same data and at the same addresses
 *     stop()      ends the system, and deletes its data
 */

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";

export async function startSystem() {
  const { startSystem: start } = process.env.CHORUS_SYSTEM ? await import(process.env.CHORUS_SYSTEM) : { startSystem: embedded };
  return start();
}

/** One `chorus dev`. It keeps its port over restarts, so that clients can reconnect. */
async function embedded() {
  const server = await Server.start({ port: await freePort() });
  return {
    urls: [server.url],
    kill: () => server.kill9(),
    revive: () => server.start(),
    stop: () => server.stop(),
  };
}
