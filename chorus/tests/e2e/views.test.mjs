// The view of a member that has applied all patches, the view of one that joins later, and the script's JSON.stringify are
// the same text.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { WebSocket } from "ws";

import { Chorus } from "../../../clients/js/chorus.js";
import { Server } from "../server.mjs";

const STEPS = 400;

let server;
before(async () => {
  server = await Server.start({ args: ["--fixtures", "--lobby", "random-documents", "--rate", "100000"] });
});
after(() => server?.stop());

test("every state is sent exactly, in patches and as a whole", { timeout: 120_000 }, async () => {
  const seen = { patch: 0, whole: 0 };
  const ana = await join("Ana", seen);
  for (let step = 1; step <= STEPS; step++) {
    const text = await ana.send("change");
    // The reply is the last of a message's frames.
    assert.equal(JSON.stringify(ana.room.view), text, `step ${step}`);
    if (step % 20 !== 0) continue;
    const later = await join("Ana", {});
    assert.equal(JSON.stringify(later.room.view), text, `a member that joins after step ${step}`);
    later.close();
  }
  assert.ok(seen.patch > STEPS / 2 && seen.whole < seen.patch, `they are patches: ${JSON.stringify(seen)}`);
  ana.close();
});

/** A client in the room. Counts the received patches, and separately those that replaced the whole view. */
function join(name, seen) {
  const client = new Chorus(`${server.url.replace(/^http/, "ws")}/ws`, { name, WebSocket, storage: null });
  client.on("frame", ({ frame }) => {
    if (frame.t === "patch") seen[frame.ops.some(({ path }) => path === "") ? "whole" : "patch"] += 1;
  });
  return new Promise((resolve, reject) => {
    client.on("disconnected", ({ reason }) => reject(new Error(reason)));
    client.on("error", reject);
    client.on("room", () => resolve(client));
    client.connect();
  });
}
