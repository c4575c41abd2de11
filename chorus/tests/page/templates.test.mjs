// The projects that `npm create chorus-rooms` makes, each played through on the pages of two phones.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, PHONE, screenshotFolder } from "./browser.mjs";
import { ProjectServer } from "./projects.mjs";

const WAIT_MS = 15_000;
const QUICK_QUIZ = {
  "shared/quiz.ts": [["ROUNDS = 5", "ROUNDS = 2"], ["SHOW_MS = 4_000", "SHOW_MS = 700"]],
  "rooms/quiz/index.ts": [["least: 3_000, most: 10_000", "least: 100, most: 200"]],
};
const servers = {};
let browser, shots;

before(async () => {
  const all = [["empty"], ["tic-tac-toe"], ["chat"], ["quiz", QUICK_QUIZ], ["cards"]];
  [browser, shots] = await Promise.all([launch(), screenshotFolder(), ...all.map(async ([template, edit]) => { servers[template] = await ProjectServer.start(template, edit); })]);
});

after(async () => {
  await browser?.close();
  await Promise.all(Object.values(servers).map((server) => server.stop()));
});

/** A player's page: its elements by the ids of the template. */
class Phone {
  static async open(template, name, { address = servers[template].url, colorScheme = "light" } = {}) {
    const context = await browser.newContext({ viewport: PHONE, colorScheme, permissions: ["clipboard-read", "clipboard-write"] });
    context.setDefaultTimeout(WAIT_MS);
    const phone = Object.assign(new Phone(), { page: await context.newPage(), name, errors: [] });
    phone.page.on("pageerror", (error) => phone.errors.push(error.message));
    await phone.page.goto(address);
    await phone.page.getByLabel("Your name").fill(name);
    return phone;
  }

  press(name) { return this.page.getByRole("button", { name, exact: true }).click(); }
  see(text) { return this.page.locator("#room").getByText(text).first().waitFor(); }
  reads(id, text) { return this.page.locator(`#${id}`, { hasText: text }).waitFor(); }
  text(id) { return this.page.locator(`#${id}`).innerText(); }

  /** A message covers neither the title nor the connection, on a phone held upright or sideways, and is seen at the end of the page too. */
  async assertToastCoversNoState() {
    const before = this.page.viewportSize();
    for (const viewport of [{ width: 390, height: 844 }, { width: 844, height: 390 }]) {
      await this.page.setViewportSize(viewport);
      await this.page.locator("#invite").click();
      await this.reads("toast", "The link is copied");
      const found = await this.page.evaluate(async () => {
        const at = document.getElementById("toast");
        await Promise.all(at.getAnimations().map(({ finished }) => finished));
        const toast = at.getBoundingClientRect();
        const covered = ["h1", "#connection", "#lost"].filter((each) => {
          const { top, bottom, left, right } = document.querySelector(each).getBoundingClientRect();
          return top < toast.bottom && bottom > toast.top && left < toast.right && right > toast.left;
        });
        scrollTo(0, document.body.scrollHeight);
        const { top, bottom } = at.getBoundingClientRect();
        const isSeen = top >= 0 && bottom <= innerHeight;
        scrollTo(0, 0);
        return { covered, isSeen };
      });
      await this.page.screenshot({ path: `${shots}/toast-${viewport.width}.png` });
      assert.deepEqual(found, { covered: [], isSeen: true }, `${viewport.width} x ${viewport.height}`);
    }
    await this.page.setViewportSize(before);
  }

  /** Nothing is wider than the screen, and every control has a name. */
  async assertFits() {
    const { wide, nameless } = await this.page.evaluate(() => ({
      wide: document.documentElement.scrollWidth - innerWidth,
      nameless: [...document.querySelectorAll("button, input")]
        .filter((control) => control.checkVisibility() && !control.textContent.trim() && !control.ariaLabel && !control.labels?.length).length,
    }));
    assert.deepEqual({ wide: Math.max(0, wide), nameless }, { wide: 0, nameless: 0 });
  }
}

/** Two players of a template: one begins a private room, and the other one comes by its link. */
function story(title, template, body) {
  test(title, { timeout: 120_000 }, async () => {
    const ana = await Phone.open(template, "Ana");
    await ana.assertFits();
    await ana.press("With friends");
    await ana.page.locator("#room").waitFor();
    await ana.page.locator("#invite").click();
    await ana.reads("toast", "The link is copied");
    const link = await ana.page.evaluate(() => navigator.clipboard.readText());
    assert.match(link, /\/play#[2-9A-HJ-NP-Z]{6}$/);
    const ben = await Phone.open(template, "Ben", { address: link, colorScheme: "dark" });
    await ben.press("Join the game");
    await Promise.all([ana.reads("players", "Ben"), ben.reads("players", "Ana")]);
    await body(ana, ben);
    for (const phone of [ana, ben]) {
      await phone.assertFits();
      await phone.page.screenshot({ path: `${shots}/template-${template}-${phone.name}.png` });
      assert.deepEqual(phone.errors, []);
    }
    await ben.press("Leave");
    await ben.page.locator("#start").waitFor();
    assert.equal(new URL(ben.page.url()).pathname + new URL(ben.page.url()).hash, "/");
    await Promise.all([ana, ben].map(({ page }) => page.context().close()));
  });
}

story("empty: two count together, and a reload comes back to the count", "empty", async (ana, ben) => {
  await ana.press("One more");
  await ben.press("One more");
  await Promise.all([ana.reads("count", "2"), ben.reads("count", "2")]);
  await ben.page.reload();
  await ben.reads("count", "2");
});

story("tic-tac-toe: a game to its end over a kill of the server, and another one", "tic-tac-toe", async (ana, ben) => {
  await Promise.race([ana.reads("status", "Your turn"), ben.reads("status", "Your turn")]);
  const [first, second] = (await ana.text("status")) === "Your turn" ? [ana, ben] : [ben, ana];
  const move = async (phone, cell) => {
    await phone.reads("status", "Your turn");
    await phone.page.getByRole("button", { name: cell }).click();
  };
  await move(first, "Row 1, column 1");
  await move(second, "Row 2, column 1");
  await servers["tic-tac-toe"].kill9();
  await first.reads("lost", "The connection is lost. Your seat is kept.");
  await first.assertToastCoversNoState();
  await servers["tic-tac-toe"].startAgain();
  await Promise.all([first, second].map(async (phone) => {
    await phone.page.evaluate(() => document.getElementById("retry")?.checkVisibility() && document.getElementById("retry")?.click());
    await phone.reads("connection", "Connected");
  }));
  await move(first, "Row 1, column 2");
  await move(second, "Row 2, column 2");
  await move(first, "Row 1, column 3");
  await Promise.all([first.reads("status", "You win!"), second.reads("status", `${first.name} wins`)]);
  await first.press("Play again");
  await second.press("Play again");
  await move(second, "Row 1, column 1");
});

story("chat: lines, who types, and the history after a reload", "chat", async (ana, ben) => {
  const write = async (phone, text) => {
    await phone.page.getByLabel("Your message").fill(text);
    await phone.page.keyboard.press("Enter");
  };
  await ana.page.getByLabel("Your message").fill("Hel");
  await ben.reads("typing", "Ana is typing");
  await write(ana, "Hello <b>there</b>!");
  await ben.reads("lines", "Hello <b>there</b>!");
  await write(ben, "Hello");
  await ana.page.locator("#lines li:not(.mine)", { hasText: "Hello" }).waitFor();
  await ana.page.locator("#lines li.mine", { hasText: "there" }).waitFor();
  await ana.page.reload();
  await ana.page.locator("#lines li.mine", { hasText: "there" }).waitFor();
});

story("quiz: all rounds, the bot answers, and another game", "quiz", async (ana, ben) => {
  await ana.press("Start");
  for (const round of [1, 2]) {
    for (const phone of [ana, ben]) {
      await phone.reads("status", `Question ${round}`);
      await phone.page.locator("#options button").first().click();
    }
    await Promise.all([ana, ben].map((phone) => phone.page.locator("#options .right").waitFor()));
  }
  await Promise.all([ana.reads("question", "points"), ben.reads("question", "points")]);
  await ben.press("Play again");
  await ana.reads("status", "Question 1");
});

story("cards: hands that only their players see, a game to its end, and another deal", "cards", async (ana, ben) => {
  await ana.press("Deal");
  await Promise.all([ana, ben].map((phone) => phone.page.locator("#hand button").nth(5).waitFor()));
  const hand = (phone) => phone.page.locator("#hand button").evaluateAll((cards) => cards.map(({ ariaLabel }) => ariaLabel));
  const [mine, theirs] = await Promise.all([hand(ana), hand(ben)]);
  assert.deepEqual(mine.filter((card) => theirs.includes(card)), []);
  // The page plays by its own buttons: a click for each turn would take longer than the game.
  const playing = [ana, ben].map(({ page }) => page.evaluate(() => new Promise((resolve) => {
    const turn = setInterval(() => {
      if (/wins?\b/.test(document.getElementById("status")?.textContent ?? "")) resolve(clearInterval(turn));
      const card = document.querySelector('#hand [aria-disabled="false"]') ?? document.querySelector("#draw:not(:disabled)");
      if (card instanceof HTMLElement) card.click();
    }, 30);
  })));
  await Promise.all(playing);
  const ends = await Promise.all([ana.text("status"), ben.text("status")]);
  assert.ok(ends.includes("You win!") && ends.some((text) => / wins$/.test(text)), ends.join(", "));
  await ben.press("Deal again");
  await ana.page.locator("#hand button").nth(5).waitFor();
});
