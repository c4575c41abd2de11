// The game of docs/tutorial.md, made as the page has it, and played in two tabs over a kill of the server.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";

import { filesIn } from "../../../packages/chorus-rooms/test/pages.mjs";
import { removeFiles, templateOf } from "../../../packages/chorus-rooms/test/tutorial.mjs";
import { launch, PHONE } from "./browser.mjs";
import { ProjectServer } from "./projects.mjs";

const WAIT_MS = 15_000;
let browser, server;

before(async () => {
  server = await ProjectServer.start(templateOf(), {}, (folder) => {
    removeFiles(folder);
    for (const [path, code] of Object.entries(filesIn("docs/tutorial.md"))) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), code);
    }
  });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

async function tab(errors) {
  const context = await browser.newContext({ viewport: PHONE });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(server.url);
  return page;
}

test("two tabs play a game to its end, and the server is killed in the middle", { timeout: 120_000 }, async () => {
  const errors = [];
  const reads = (page, text) => page.locator("#state", { hasText: text }).waitFor();
  const first = await tab(errors);
  await reads(first, "waiting for somebody");
  assert.match(first.url(), /#[2-9A-HJ-NP-Z]{6}$/);
  const tabs = [first, await tab(errors)];
  for (let stones = 21; stones > 0; stones -= 3) {
    await Promise.all(tabs.map((page) => reads(page, `${stones} stones`)));
    if (stones === 12) {
      await server.kill9();
      await Promise.all(tabs.map((page) => page.locator("#hint", { hasText: "reconnecting" }).waitFor()));
      await server.startAgain();
      await Promise.all(tabs.map((page) => page.locator("#hint", { hasText: /^$/ }).waitFor({ state: "attached" })));
    }
    const [one] = tabs, isOnTurn = (await one.locator("#state").innerText()).includes("your turn");
    await (isOnTurn ? one : tabs[1]).getByRole("button", { name: "3", exact: true }).click();
  }
  const ends = await Promise.all(tabs.map(async (page) => (await reads(page, /You (win|lose)/), page.locator("#state").innerText())));
  assert.deepEqual(ends.sort(), ["You lose", "You win"]);
  assert.deepEqual(errors, []);
});
