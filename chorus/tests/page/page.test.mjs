// The page of `chorus dev` in Chromium: players find each other, play, lose the connection, watch.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { launch, onTurn, pair, PagePlayer, PHONE, screenshotFolder } from "./browser.mjs";

const WIN_FOR_FIRST = [[0, 3], [1, 4], [2]];
let server, browser, shots;

before(async () => {
  server = await Server.start({ port: await freePort() });
  browser = await launch();
  shots = await screenshotFolder();
  console.log(`# screenshots: ${shots}`);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A story and its players, who leave at its end. No error may have occurred in their pages. */
function story(name, body) {
  test(name, { timeout: 90_000 }, async () => {
    const players = [];
    const join = async (who, options) => {
      players.push(await PagePlayer.named(browser, server.url, who, options));
      return players.at(-1);
    };
    try {
      await body(join);
      for (const { errors } of players) assert.deepEqual(errors, []);
    } finally {
      for (const player of players) await player.close();
    }
  });
}

/** Plays a game that the player on turn wins by the upper row. */
async function playToWin(players) {
  const [first, second] = await onTurn(players);
  for (const [mine, theirs] of WIN_FOR_FIRST) {
    await first.play(mine);
    if (theirs === undefined) continue;
    await second.reads("status", "Your turn");
    await second.play(theirs);
    await first.reads("status", "Your turn");
  }
  await first.reads("status", "You won!");
  return [first, second];
}

describe("two players", () => {
  story("play a whole game to a win, and a rematch", async (join) => {
    const players = [await join("Ana"), await join("Ben", { colorScheme: "dark" })];
    const stranger = await PagePlayer.open(browser, server.url);
    await stranger.see("name").waitFor();
    await stranger.screenshot(shots, "hello");
    await stranger.close();
    await players[0].reads("greeting", "Ana");
    await players[0].screenshot(shots, "lobby");
    await pair(...players);
    const [winner, loser] = await playToWin(players);
    await loser.reads("status", / won$/);
    for (const cell of [0, 1, 2]) assert.match(await loser.see(`cell-${cell}`).getAttribute("class"), /winning/);
    await winner.screenshot(shots, "won");
    await loser.screenshot(shots, "lost-dark");
    await winner.click("rematch");
    await loser.click("rematch");
    await winner.page.locator("[data-owner]").first().waitFor({ state: "detached" });
    await playToWin(players);
    await winner.click("leave");
    await winner.see("lobby").waitFor();
    await winner.reads("results", /beat/);
  });

  story("see that a move is refused when it is not theirs", async (join) => {
    const players = [await join("Ana"), await join("Ben")];
    await pair(...players);
    const [first, second] = await onTurn(players);
    assert.equal(await second.see("cell-0").getAttribute("aria-disabled"), "true");
    await first.play(0);
    await second.reads("status", "Your turn");
    await second.owned(0);
    assert.equal(await second.see("cell-0").getAttribute("aria-disabled"), "true");
  });

  story("play with the keyboard alone", async (join) => {
    const players = [await join("Ana"), await join("Ben")];
    await pair(...players);
    const [first, second] = await onTurn(players);
    await first.page.keyboard.press("1");
    await first.owned(0);
    await second.reads("status", "Your turn");
    await second.see("cell-4").focus();
    await second.page.keyboard.press("ArrowDown");
    await second.page.keyboard.press("Enter");
    await second.owned(7);
  });

  story("keep their game over a reload", async (join) => {
    const players = [await join("Ana"), await join("Ben")];
    await pair(...players);
    const [first, second] = await onTurn(players);
    await first.play(4);
    const seat = await second.seat();
    await second.page.reload();
    assert.equal(await second.seat(), seat);
    await second.owned(4);
    await second.reads("status", "Your turn");
    await second.play(0);
    await first.owned(0);
  });

  story("have room on a phone", async (join) => {
    const players = [
      await join("Ana", { viewport: PHONE }),
      await join("Maximiliane-Theodora von Hohen", { viewport: PHONE, colorScheme: "dark" }),
    ];
    await players[0].assertFits();
    await players[0].screenshot(shots, "phone-lobby");
    await pair(...players);
    const [first] = await onTurn(players);
    await first.play(4);
    for (const player of players) await player.assertFits();
    await players[0].screenshot(shots, "phone-game");
    await players[1].screenshot(shots, "phone-game-dark");
  });
});

describe("a friend", () => {
  story("opens the address that a player has sent, and they play; a reload comes back", async (join) => {
    const ana = await join("Ana", { permissions: ["clipboard-read", "clipboard-write"] });
    await ana.click("friend");
    await ana.reads("status", "Waiting for an opponent");
    await ana.reads("code", /Code [2-9A-HJ-NP-Z]{6}/);
    await ana.screenshot(shots, "invite");
    await ana.click("invite");
    await ana.reads("toast", "The link is copied");
    const link = await ana.page.evaluate(() => navigator.clipboard.readText());
    assert.match(link, /\/#[2-9A-HJ-NP-Z]{6}$/);
    const ben = await join("Ben", { address: link });
    const [first, second] = await onTurn([ana, ben]);
    await first.play(4);
    await second.reads("status", "Your turn");
    await ben.page.reload();
    await ben.owned(4);
    await second.play(0);
    assert.equal(ben.page.url(), link);
    await ben.click("leave");
    await ben.see("lobby").waitFor();
    assert.ok(!ben.page.url().includes("#"));
    const cleo = await join("Cleo", { address: link });
    await cleo.reads("note", /Ana|Ben/);
  });

  story("whose link has ended reads so, and is in the lobby", async (join) => {
    const ben = await join("Ben", { address: `${server.url}/#ZZZZZZ` });
    await ben.reads("toast", "There is no room ZZZZZZ");
    await ben.see("lobby").waitFor();
    assert.ok(!ben.page.url().includes("#"));
  });
});

describe("one player", () => {
  story("may stop looking", async (join) => {
    const ana = await join("Ana");
    await ana.click("find");
    await ana.reads("seeking", "number 1");
    await ana.screenshot(shots, "seeking");
    await ana.click("cancel");
    await ana.see("find").waitFor();
  });

  story("keeps looking when the connection is lost", async (join) => {
    const ana = await join("Ana");
    await ana.click("find");
    await ana.reads("seeking", "number 1");
    await ana.loseConnection();
    await ana.reads("connection", "Connected");
    await ana.reads("seeking", "number 1");
    const ben = await join("Ben");
    await ben.click("find");
    await Promise.all([ana, ben].map((player) => player.see("game").waitFor()));
  });

  story("may take another name", async (join) => {
    const ana = await join("Ana");
    await ana.click("rename");
    await ana.see("name").fill("Anabel");
    await ana.click("enter");
    await ana.reads("greeting", "Anabel");
  });

  story("watches a game of others", async (join) => {
    // Names that no other story uses: seats in other stories' games may still be held after their pages were closed.
    const players = [await join("Olga"), await join("Emil")];
    const watcher = await join("Cleo");
    await pair(...players);
    await watcher.see("games").locator("li", { hasText: "Olga" }).getByTestId("watch").click();
    await watcher.reads("note", "You are watching");
    await playToWin(players);
    await watcher.reads("status", /^(Olga|Emil) won$/);
    await watcher.owned(0);
    await watcher.screenshot(shots, "watching");
    await watcher.click("leave");
    await watcher.see("lobby").waitFor();
  });
});

describe("the author of a room", () => {
  /** Serves these statuses to the page instead of the server's own. */
  const serveStatuses = async (page, ...statuses) => {
    // A server that does not watch its guests does not serve this page.
    for (const [file, contentType] of [["dev.html", "text/html"], ["dev.js", "text/javascript"], ["dom.js", "text/javascript"], ["kill.js", "text/javascript"], ["style.css", "text/css"]]) {
      const body = await readFile(new URL(`../../page/${file}`, import.meta.url), "utf8");
      await page.route(file === "dev.html" ? "**/dev" : `**/dev/${file}`, (route) => route.fulfill({ contentType, body }));
    }
    await page.route("**/dev/events", (route) =>
      route.fulfill({
        contentType: "text/event-stream",
        body: statuses.map((status) => `retry: 600000\nevent: status\ndata: ${JSON.stringify(status)}\n\n`).join(""),
      }),
    );
  };

  story("sees what does not build, and what was swapped, on a page of its own", async (join) => {
    const ana = await join("Ana");
    const message = "guests/tic-tac-toe/index.js:81:9: a room has no `setTimeout`; use instead: this.schedule.after(ms, name, payload)";
    await serveStatuses(
      ana.page,
      { kind: "tic-tac-toe", state: "build-failed", message },
      { kind: "lobby", state: "building" },
      { kind: "lobby", state: "swapped", rooms: 1 },
      { kind: "chess", state: "build-failed", message },
      { kind: "chess", state: "gone" },
    );
    await ana.page.goto(new URL("/dev", ana.page.url()).href);
    await ana.reads("guest-tic-tac-toe", "does not build; its rooms keep the previous version");
    await ana.reads("guest-tic-tac-toe", message);
    await ana.reads("guest-lobby", "lobby was swapped in 1 room");
    await ana.see("guest-chess").waitFor({ state: "detached" });
    await ana.screenshot(shots, "guests");
  });

  story("sees frames, and no secret in them", async (join) => {
    const ana = await join("Ana");
    await ana.see("developer").locator("summary").click();
    await ana.reads("developer-facts", /Gaps\s*0/);
    await ana.reads("developer-frames", "welcome");
    await ana.reads("developer-frames", '"resume":"…"');
    await ana.see("developer-frames").scrollIntoViewIfNeeded();
    await ana.screenshot(shots, "developer");
  });
});

// The last stories, since all others use the same server.
describe("when the server is killed", () => {
  story("the page reconnects by itself, and the game continues", async (join) => {
    const players = [await join("Ana"), await join("Ben")];
    await pair(...players);
    const [first, second] = await onTurn(players);
    await first.play(4);
    await server.kill9();
    await first.reads("connection", "Reconnecting");
    await first.screenshot(shots, "reconnecting");
    await server.start();
    await first.reads("connection", "Connected");
    await second.reads("status", "Your turn");
    await second.play(0);
    await first.owned(0);
    await first.owned(4);
  });
});
