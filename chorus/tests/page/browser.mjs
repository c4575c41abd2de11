/** Chromium for the page's tests, and the actions of a player on the page. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const DESKTOP = { width: 1200, height: 800 };
export const PHONE = { width: 360, height: 740 };

/** The deadline of every wait on the page. */
const WAIT_MS = 15_000;

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  assert.ok(
    existsSync(executablePath),
    `there is no Chromium at ${executablePath}: install it, or name it in CHROMIUM`,
  );
  return chromium.launch({ executablePath, args: QUIET });
}

/** The directory for screenshots: `SCREENSHOTS`, or a new temporary one. */
export async function screenshotFolder() {
  const folder = process.env.SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), "chorus-page-")));
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs in the page: keeps every socket, so that a test can close it. */
function keepSockets() {
  globalThis.sockets = [];
  globalThis.WebSocket = class extends WebSocket {
    constructor(...details) {
      super(...details);
      globalThis.sockets.push(this);
    }
  };
}

/** One player on one page, with a browser profile of its own. */
export class PagePlayer {
  constructor(page, errors) {
    Object.assign(this, { page, errors });
  }

  /** `address`: the page's, instead of the server's. */
  static async open(browser, url, { viewport = DESKTOP, colorScheme = "light", reducedMotion = "no-preference", permissions = [], deviceScaleFactor = 1, address = url } = {}) {
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion, permissions, deviceScaleFactor });
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    await page.addInitScript(keepSockets);
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(address);
    return new PagePlayer(page, errors);
  }

  /** Opens the page and joins under a name: the lobby, or the room of the page's address. */
  static async named(browser, url, name, options) {
    const player = await PagePlayer.open(browser, url, options);
    await player.see("name").fill(name);
    await player.click("enter");
    await (options?.address === undefined ? player.see("lobby") : player.page.locator("#lobby:visible, #game:visible")).waitFor();
    return player;
  }

  see(id) {
    return this.page.getByTestId(id);
  }

  click(id) {
    return this.see(id).click();
  }

  /** Waits until the element's text contains the expected text or matches the pattern. */
  async reads(id, expected) {
    const fits = expected instanceof RegExp ? expected : new RegExp(expected.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    await this.see(id)
      .filter({ hasText: fits })
      .waitFor()
      .catch(async () => {
        assert.match(await this.see(id).innerText(), fits);
      });
  }

  /** Plays a cell and waits for the mark. */
  async play(cell) {
    await this.click(`cell-${cell}`);
    await this.owned(cell);
  }

  async owned(cell, seat) {
    const attribute = seat === undefined ? "[data-owner]" : `[data-owner="${seat}"]`;
    await this.page.locator(`[data-testid="cell-${cell}"]${attribute}`).waitFor();
  }

  /** The player's seat, 0 or 1. The room decides which seat moves first. */
  async seat() {
    await this.see("game").waitFor();
    return (await this.see("player-0").innerText()).includes("You") ? 0 : 1;
  }

  /** Closes the page's sockets without the client's doing, like a train in a tunnel, and waits for the next connection. */
  async loseConnection() {
    await this.page.evaluate(() => globalThis.sockets.forEach((socket) => socket.close(4000, "a test")));
    await this.page.waitForFunction(() => globalThis.sockets.length > 1 && globalThis.sockets.at(-1).readyState === 1);
  }

  async screenshot(folder, name) {
    await this.page.waitForTimeout(500); // The animations of marks and screens are shorter.
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  /** Checks that nothing is wider than the screen. */
  async assertFits() {
    const [content, screen] = await this.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= screen, `the page is ${content} wide on a screen of ${screen}`);
  }

  close() {
    return this.page.context().close();
  }
}

/** Brings two players into a game. Resolves with them in the order of their seats: `[first, second]`. */
export async function pair(one, other) {
  await one.click("find");
  await one.see("seeking").waitFor();
  await other.click("find");
  await Promise.all([one, other].map((player) => player.see("game").waitFor()));
  return (await one.seat()) === 0 ? [one, other] : [other, one];
}

/** The two players, the one on turn first. */
export async function onTurn(players) {
  await Promise.race(players.map((player) => player.reads("status", "Your turn")));
  const texts = await Promise.all(players.map((player) => player.see("status").innerText()));
  return texts[0] === "Your turn" ? players : [...players].reverse();
}
