// Two tabs are two players, even if one is a duplicate of the other; a reload is the same player.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Server } from "../server.mjs";
import { launch, PagePlayer } from "./browser.mjs";

let server, browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Acts like "Duplicate tab": a window that a page opens to its own address begins with a copy of its `sessionStorage`. */
async function duplicate(player) {
  const [page] = await Promise.all([
    player.page.context().waitForEvent("page"),
    player.page.evaluate(() => void globalThis.open(location.href)),
  ]);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  return new PagePlayer(page, errors);
}

const session = (player) => player.page.evaluate((url) => JSON.parse(sessionStorage.getItem(url)).session, `chorus ${server.url.replace(/^http/, "ws")}/ws`);

for (const locks of [true, false]) {
  describe(locks ? "with locks" : "without locks, as on a page that came over plain HTTP", () => {
    async function join(name) {
      const player = await PagePlayer.open(browser, server.url);
      if (!locks) {
        await player.page.context().addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
        await player.page.reload();
      }
      await player.see("name").fill(name);
      await player.click("enter");
      await player.see("lobby").waitFor();
      return player;
    }

    test("a duplicated tab is another player, and the first one stays", { timeout: 90_000 }, async () => {
      const ana = await join("Ana");
      const mine = await session(ana);
      const copy = await duplicate(ana);
      await copy.reads("connection", "Connected");
      await copy.see("lobby").waitFor();
      assert.notEqual(await session(copy), mine);
      assert.equal(await session(ana), mine);
      await ana.reads("connection", "Connected");
      assert.equal(await ana.see("closed").isVisible(), false);
      assert.deepEqual([...ana.errors, ...copy.errors], []);
      await ana.close();
    });

    test("a tab that is loaded again keeps its session, also beside its copy", { timeout: 90_000 }, async () => {
      const ana = await join("Ana");
      const mine = await session(ana);
      for (let n = 0; n < 3; n++) {
        await ana.page.reload();
        await ana.see("lobby").waitFor();
        await ana.reads("connection", "Connected");
        assert.equal(await session(ana), mine);
        if (n === 0) await duplicate(ana).then((copy) => copy.see("lobby").waitFor());
      }
      await ana.close();
    });
  });
}

test("`Play here` takes the seat back from the tab that has it", { timeout: 90_000 }, async () => {
  const ana = await PagePlayer.named(browser, server.url, "Ana");
  const mine = await session(ana);
  // These tabs cannot exchange messages in time, like those of a browser that was frozen.
  await ana.page.context().addInitScript(() => {
    Object.defineProperty(navigator, "locks", { value: undefined });
    const { postMessage } = BroadcastChannel.prototype;
    BroadcastChannel.prototype.postMessage = function (message) {
      if (message.question !== "who") postMessage.call(this, message);
    };
  });
  const copy = await duplicate(ana);
  await ana.reads("closed", "Playing in another tab");
  assert.equal(await session(copy), mine);
  await ana.click("again");
  await ana.see("lobby").waitFor();
  await ana.reads("connection", "Connected");
  assert.equal(await session(ana), mine);
  await copy.reads("closed", "Playing in another tab");
  await copy.click("again");
  await copy.see("lobby").waitFor();
  assert.equal(await session(copy), mine);
  await ana.reads("closed", "Playing in another tab");
  await ana.close();
});

test("a guest is the same player in the browser's first tab for days, and a further tab is another one", { timeout: 90_000 }, async () => {
  const context = await browser.newContext();
  const first = await visit(context);
  const second = await visit(context);
  assert.notEqual(second.id, first.id, "two tabs can play against each other");
  await first.page.close();
  await second.page.close();
  const later = await visit(context);
  assert.equal(later.id, first.id, "its session was another one, which ended with its tab");
  assert.notEqual(later.session, first.session);
  await context.close();
});

/** A new tab of a browser, whose player has entered: its `player.id` and its session, by the `welcome`. */
async function visit(context) {
  const page = await context.newPage();
  const welcome = new Promise((resolve) => {
    page.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => {
        const frame = JSON.parse(payload);
        if (frame.t === "welcome") resolve(frame);
      });
    });
  });
  await page.goto(server.url);
  const player = new PagePlayer(page, []);
  await player.see("name").fill("Ana");
  await player.click("enter");
  await player.see("lobby").waitFor();
  const { player: id, session } = await welcome;
  return { page, id, session };
}
