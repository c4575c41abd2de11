// The button that kills the server and the inspector, in Chromium, while two players play.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { launch, onTurn, pair, PagePlayer, PHONE, screenshotFolder } from "./browser.mjs";

const LAPTOP = { width: 1280, height: 800 };
let server, browser, shots;

before(async () => {
  server = await Server.start({ port: await freePort(), watch: true });
  browser = await launch();
  shots = await screenshotFolder();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("two players play, and their author looks, sends, crashes the instance and kills the server", { timeout: 120_000 }, async () => {
  const players = [await PagePlayer.named(browser, server.url, "Ana"), await PagePlayer.named(browser, server.url, "Ben", { viewport: PHONE })];
  const author = await PagePlayer.open(browser, server.url, { viewport: LAPTOP, address: `${server.url}/dev/inspector` });
  const builds = await PagePlayer.open(browser, server.url, { viewport: LAPTOP, address: `${server.url}/dev` });
  const everybody = [...players, author, builds];
  try {
    await pair(...players);
    const [first, second] = await onTurn(players);
    const [one, other] = first === players[0] ? ["Ana", "Ben"] : ["Ben", "Ana"];
    await author.see("room-tic-tac-toe").click();
    for (const name of ["Ana", "Ben"]) await author.reads("members", name);

    await first.play(0);
    await author.see("record").filter({ hasText: `move${one}` }).waitFor();
    await author.see("state").getByText("board").first().waitFor();
    await second.reads("status", "Your turn");

    await author.see("send-as").selectOption(await optionOf(author, other));
    await author.see("send-type").fill("move");
    await author.see("send-data").fill('{ "cell": 4 }');
    await author.click("send");
    await author.reads("outcome", `Sent in the name of ${other}`);
    for (const player of players) await player.owned(4);
    await author.see("by-author").waitFor();
    await author.see("record").first().locator("summary").first().click();
    await author.screenshot(shots, "inspector");

    await author.click("crash");
    await author.reads("outcome", "The state is the same, byte for byte");
    await first.reads("status", "Your turn");
    await first.play(1);

    await second.reads("status", "Your turn");
    await first.screenshot(shots, "before-the-kill");
    await first.click("kill");
    await first.reads("trick-text", /The server was killed, and back \d+\.\d\d s later\. The game goes on: .*frames 1 to \d+ are all there, each once/);
    await first.screenshot(shots, "after-the-kill");
    await second.reads("connection", "Connected");
    await second.play(3);
    await first.owned(3);
    await second.assertFits();
    await second.screenshot(shots, "phone-after-the-kill");
    await first.play(2);
    await first.reads("status", "You won!");
    await author.see("record").filter({ hasText: `move${other}` }).first().waitFor();
    await author.reads("facts", "Last record");
    await author.screenshot(shots, "inspector-after-the-kill");

    await server.kill9();
    for (const page of [author, builds]) await page.reads("connection", "Reconnecting");
    await server.start();
    for (const page of everybody) await page.reads("connection", "Connected");
    await builds.see("guest-tic-tac-toe").waitFor();
    await author.click("send");
    await author.see("by-author").nth(1).waitFor();

    author.page.on("dialog", (dialog) => dialog.accept());
    await author.click("end");
    for (const player of players) await player.see("lobby").waitFor();
    for (const { errors } of everybody) assert.deepEqual(errors, []);
  } finally {
    for (const one of everybody) await one.close();
  }
});

/** The value of the option with this member's name. */
async function optionOf(author, name) {
  return author.see("send-as").locator("option").filter({ hasText: name }).getAttribute("value");
}
