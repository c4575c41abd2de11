/** A client that connects to check whether players are served, and leaves. */

import { setTimeout as sleep } from "node:timers/promises";

import { WebSocket } from "ws";

const ATTEMPT_MS = 5000;
const RETRY_MS = 100;

/** Resolves when a new client at this address receives a room's view. */
export async function servesLobby(url, withinMs) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const why = await attempt(url);
    if (why === null) return;
    if (Date.now() > deadline) throw new Error(`a client that connects to ${url} does not receive the lobby: ${why}`);
    await sleep(RETRY_MS);
  }
}

/** Resolves with the reason why no view was received, or null. */
function attempt(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, "v1.json.chorus");
    const done = (why) => {
      clearTimeout(late);
      socket.terminate();
      resolve(why);
    };
    const late = setTimeout(done, ATTEMPT_MS, `no room came in ${ATTEMPT_MS} ms`);
    socket.on("open", () => socket.send(JSON.stringify({ t: "hello", name: "Probe" })));
    socket.on("message", (text) => JSON.parse(text).t === "room" && done(null));
    socket.on("close", (code) => done(`closed with ${code}`));
    socket.on("error", (error) => done(error.message));
  });
}
