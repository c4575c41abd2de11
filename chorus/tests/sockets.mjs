/** Sockets of a test's client: a client that connects to several edges in turn, as through a load balancer. */

import { WebSocket } from "ws";

/** A port of this machine on which no process listens. */
const UNREACHABLE = "ws://127.0.0.1:1/ws";

/**
 * A WebSocket class for `Chorus`. Each new socket connects to the next of these addresses, beginning with the one at `first`,
 * or fails while `isOffline()`. `opened(socket, url)` receives each of them.
 */
export function rotatingSocket(urls, opened, { first = 0, isOffline = () => false } = {}) {
  let next = first;
  return class extends WebSocket {
    constructor(_, ...more) {
      const url = urls[next++ % urls.length];
      super(isOffline() ? UNREACHABLE : `${url.replace(/^http/, "ws")}/ws`, ...more);
      opened(this, url);
    }
  };
}
