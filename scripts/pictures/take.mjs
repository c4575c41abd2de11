// The pictures of the README: a game is played on a server of its own, in headless Chromium.

import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { launch, onTurn, pair, PagePlayer, PHONE } from "../../chorus/tests/page/browser.mjs";
import { Server } from "../../chorus/tests/server.mjs";
import { freePort } from "../../testing/services/programs.mjs";
import { smaller } from "./apng.mjs";
import { Recording } from "./recording.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const FOLDER = join(ROOT, "docs/pictures");
const DESKTOP = { width: 1000, height: 740 };
const LAPTOP = { width: 1280, height: 800 };
/** A README has the pictures in their own size, and is 800 to 900 wide. */
const SCALE = { deviceScaleFactor: 0.62 };
/** The bytes of a picture: a README is read over slow connections, too. */
const LARGEST = 1_000_000;
const RUNNING = "#3fb950", KILLED = "#f85149";

let server, browser;

export async function take() {
  mkdirSync(FOLDER, { recursive: true });
  try {
    server = await Server.start({ port: await freePort(), watch: true });
    browser = await launch();
    await stills();
    await recording();
  } finally {
    await browser?.close();
    await server?.stop();
  }
}

/** One game, on a phone and on a desktop, and in the inspector. */
async function stills() {
  const players = await Promise.all([
    PagePlayer.named(browser, server.url, "Ana", { viewport: PHONE, ...SCALE }), PagePlayer.named(browser, server.url, "Ben", { viewport: DESKTOP, ...SCALE }),
  ]);
  await pair(...players);
  await play(players, [4, 0, 2, 8]);
  for (const { page } of players) await page.mouse.move(0, 0);
  await settled();
  save("game.png", await (await Recording.of(browser, players.map(({ page }) => page))).picture());
  await inspected(players);
  for (const player of players) await player.close();
}

/** The inspector, on the players' room; a program that has none is left at that. */
async function inspected(players) {
  const address = `${server.url}/dev/inspector`;
  if ((await fetch(address)).status !== 200) return console.log(`  there is no inspector at ${address}: its picture is left out`);
  const inspector = await PagePlayer.open(browser, server.url, { viewport: LAPTOP, deviceScaleFactor: 0.68, address });
  await inspector.click("room-tic-tac-toe");
  await play(players, [3]);
  await inspector.see("record").first().locator("summary").first().click();
  await inspector.see("state").getByText("board", { exact: true }).first().waitFor();
  await settled();
  save("inspector.png", smaller(await inspector.page.screenshot()));
  await inspector.close();
}

async function recording() {
  const players = await Promise.all(["Ana", "Ben"].map((name) => PagePlayer.named(browser, server.url, name, { viewport: PHONE, ...SCALE })));
  await pair(...players);
  await play(players, [4, 0]);
  const film = await Recording.of(browser, players.map(({ page }) => page));
  film.shows("chorus dev", RUNNING);
  film.begin();
  await settled();
  await play(players, [2, 6]);
  await settled();
  await server.kill9();
  film.shows("kill -9: there is no server", KILLED);
  await Promise.all(players.map((player) => player.reads("connection", "Reconnecting")));
  await settled(2);
  film.shows("chorus dev, started again", RUNNING);
  await server.start();
  await Promise.all(players.map((player) => player.reads("connection", "Connected")));
  await settled();
  // A row is complete with 5: the first player has 4, 2, 3, 5.
  await play(players, [3, 8, 5]);
  await settled();
  const { bytes, frames, seconds } = await film.end();
  save("killed.png", bytes);
  console.log(`  ${frames} frames, ${seconds.toFixed(1)} s`);
}

/** The two take these cells in turn. */
async function play(players, cells) {
  for (const cell of cells) {
    const [mover, other] = await onTurn(players);
    await mover.play(cell);
    await other.owned(cell);
    await settled();
  }
}

/** The pages' animations are shorter; and a viewer has to see each step. */
function settled(times = 1) { return new Promise((resolve) => setTimeout(resolve, 900 * times)); }

function save(name, bytes) {
  if (bytes.length > LARGEST) throw new Error(`${name} has ${bytes.length} bytes, of at most ${LARGEST}`);
  writeFileSync(join(FOLDER, name), bytes);
  console.log(`docs/pictures/${name}  ${(statSync(join(FOLDER, name)).size / 1e3).toFixed(0)} kB`);
}
