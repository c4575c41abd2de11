// The files in docs/testing.md, run unchanged.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { runBots } from "../src/bots.mjs";
import { fakeSocket } from "./fake-socket.mjs";
import { chorus, project } from "./project.mjs";

const page = readFileSync(new URL("../../../docs/testing.md", import.meta.url), "utf8");
/** Each begins with its path, as a comment. */
const files = Object.fromEntries([...page.matchAll(/```js\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, path, code]) => [path, code]));

test("the page has a room, its tests, and bots", () => {
  assert.deepEqual(Object.keys(files), ["rooms/counter/index.js", "test/counter.test.js", "bots.js"]);
});

test("the tests pass, random play too, and the room passes the check", () => {
  const folder = project(files);
  const tests = chorus(folder, "test", "--runs", "300");
  assert.equal(tests.status, 0, tests.output);
  assert.match(tests.stdout, /ℹ pass 3\n/);
  const check = chorus(folder, "check");
  assert.equal(check.status, 0, check.output);
});

test("the bots play", async () => {
  const { default: bot } = await import(pathToFileURL(join(project(files), "bots.js")).href);
  const enough = new AbortController();
  let adds = 0;
  const WebSocket = fakeSocket((type) => {
    if (type !== "add") return { reply: null, enters: "counter" };
    if (++adds === 5) enough.abort();
    return { reply: 1 };
  });
  const report = await runBots(bot, { url: "ws://server/ws", count: 5, rate: 1_000, ms: 60_000, WebSocket, signal: enough.signal });
  assert.deepEqual([report.ok, report.stopped, report.failures], [true, 5, {}]);
  assert.equal(report.entered.count, 5);
  assert.ok(report.replies.count >= 5);
});
