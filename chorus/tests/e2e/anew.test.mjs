// A lobby whose script fails, in a process with a lobby of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { Raw } from "./raw.mjs";

let server;
before(async () => {
  server = await Server.start({ args: ["--fixtures", "--lobby", "recurse-forever"] });
});
after(() => server?.stop());

test("a lobby that has failed five times restarts, and its members are in it again", { timeout: 120_000 }, async () => {
  let client = await Raw.connect(server.url);
  const { resume } = await client.arrive();
  for (let id = 1; id <= 5; id++) {
    client.send({ t: "msg", id, type: "recurse" });
    assert.equal((await client.answer(id)).code, "fault");
  }
  assert.match((await client.frame("left")).reason, /^ended: its script failed 5 times in a row/);
  // If the lobby is not ready yet, the edge closes the connection with a code after which clients reconnect.
  if (!(await client.frame("room").catch(() => null))) {
    assert.equal((await client.closed()).code, 4010);
    client = await Raw.connect(server.url);
    await client.hello({ resume });
    await client.frame("room");
  }
  client.send({ t: "msg", id: 6, type: "echo", data: "back" });
  assert.equal((await client.answer(6)).data, "back");
  client.terminate();
});
