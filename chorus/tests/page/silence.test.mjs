// The page behind a network that goes silent: the connection is lost without any packet that reports it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { SilentProxy } from "../silent.mjs";
import { launch, onTurn, pair, PagePlayer } from "./browser.mjs";

const PING_MS = 1_000;
/** Of what takes twice the interval of pings at most, on cores that other tests use too. */
const WAIT_MS = 15_000;
let server, proxy, browser;

before(async () => {
  server = await Server.start({ args: ["--ping", String(PING_MS / 1000)] });
  proxy = await SilentProxy.before(server.url);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  proxy?.close();
  await server?.stop();
});

/** A story of two players: Ana connects through the proxy, Ben directly. */
function story(name, body) {
  test(name, { timeout: 90_000 }, async () => {
    const players = [await PagePlayer.named(browser, proxy.url, "Ana"), await PagePlayer.named(browser, server.url, "Ben")];
    try {
      await pair(...players);
      await body(...players);
      for (const { errors } of players) assert.deepEqual(errors, []);
    } finally {
      proxy.unsilence();
      for (const player of players) await player.close();
    }
  });
}

const soon = (player, id, text) =>
  player.see(id).filter({ hasText: text }).waitFor({ timeout: WAIT_MS });
const sockets = (player) => player.page.evaluate(() => globalThis.sockets.length);

story("an idle page reconnects, and the game continues", async (ana, ben) => {
  const before = await sockets(ana);
  proxy.silence();
  await ana.page.waitForFunction(
    (before) => globalThis.sockets.length > before && globalThis.sockets.at(-1).readyState === 1,
    before,
    { timeout: WAIT_MS },
  );
  await soon(ana, "connection", "Connected");
  const [first, second] = await onTurn([ana, ben]);
  await first.play(0);
  await second.owned(0);
});

story("the page shows when the server cannot be reached, the opponent sees it, and a button ends the pause", async (ana, ben) => {
  proxy.silenceAll();
  const seat = await ana.seat();
  await Promise.all([soon(ana, "connection", /Reconnecting/), soon(ben, `player-${seat}`, "Away")]);
  proxy.unsilence();
  const retry = ana.see("retry");
  // An attempt that was begun on the silent network may still be in flight.
  await Promise.race([retry.click(), soon(ana, "connection", "Connected").catch(() => {})]);
  await ana.reads("connection", "Connected");
  await soon(ben, `player-${seat}`, "Connected");
});

story("a page that becomes visible again pings at once", async (ana) => {
  const before = await sockets(ana);
  proxy.silence();
  await ana.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await ana.page.waitForFunction((before) => globalThis.sockets.length > before, before, { timeout: WAIT_MS });
});
