/** The button that kills the server while a game is played, and what the page then finds to be there. */

import { $ } from "./dom.js";
import { kill, killButton, life, seconds } from "./kill.js";

/** The server takes the request from its own machine. */
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export async function trick(client) {
  if (!LOOPBACK.test(location.hostname) || (await life()) === null) return;
  $("trick").hidden = false;
  killButton(() => killAndLook(client));
}

/** Resolves with what was found afterwards. */
async function killAndLook(client) {
  const { room } = client;
  const before = { view: JSON.stringify(room?.view), seq: room?.seq, gaps: client.gaps, duplicates: client.duplicates };
  const begun = performance.now();
  const connected = client.state === "idle" ? null : reconnected(client);
  const { ms, kills } = await kill();
  const times = kills === 1 ? "once" : `${kills} times`;
  if (connected === null) return `The server was killed, and back ${seconds(ms)} later. This process was killed ${times} so far.`;
  if (client.state === "waiting") client.retryNow();
  const { recovered } = await connected;
  const outage = seconds(performance.now() - begun);
  if (!recovered || client.room?.id !== room?.id) return `The server was back after ${outage}, without this session.`;
  const same = JSON.stringify(client.room.view) === before.view && client.room.seq === before.seq;
  const state = same ? "its state is the same" : "its state has gone on";
  const [gaps, duplicates] = [client.gaps - before.gaps, client.duplicates - before.duplicates];
  const whole = gaps + duplicates === 0 ? `frames 1 to ${client.room.seq} are all there, each once` : `${gaps} frames are missing, ${duplicates} came twice`;
  const what = room.kind === "lobby" ? "You are in the lobby as before" : "The game goes on";
  return `The server was killed, and back ${outage} later. ${what}: ${state}, ${whole}. This process was killed ${times} so far.`;
}

/** Resolves with the details of the next connection. */
function reconnected(client) {
  return new Promise((resolve) => {
    const off = client.on("connected", (details) => (off?.(), resolve(details)));
  });
}
