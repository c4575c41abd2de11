/** A client that connects to check whether players are served, and leaves. */

import { setTimeout as sleep } from "node:timers/promises";

import { WebSocket } from "ws";

const TRY_MS = 5000;
const AGAIN_MS = 100;

/** Resolves when a new client at this address receives a room's view. */
export async function seesLobby(url, withinMs) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const why = await attempt(url);
    if (why === null) return;
    if (Date.now() > deadline) throw new Error(`nobody who connects to ${url} is shown the lobby: ${why}`);
    await sleep(AGAIN_MS);
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
    const late = setTimeout(done, TRY_MS, `no room came in ${TRY_MS} ms`);
    socket.on("open", () => socket.send(JSON.stringify({ t: "hello", name: "Probe" })));
    socket.on("message", (text) => JSON.parse(text).t === "room" && done(null));
    socket.on("close", (code) => done(`closed with ${code}`));
    socket.on("error", (error) => done(error.message));
  });
}
