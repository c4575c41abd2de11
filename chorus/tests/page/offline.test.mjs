// The offline page of a project, in Chromium: a page that is loaded while the server is gone, and comes when it is back.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch, PHONE, screenshotFolder } from "./browser.mjs";
import { ProjectServer } from "./projects.mjs";

const WAIT_MS = 15_000;
const STORY = { timeout: 120_000 };
let server, proxy, browser, shots;

before(async () => {
  [server, browser, shots] = await Promise.all([ProjectServer.start("empty"), launch(), screenshotFolder()]);
  proxy = await proxyOf(server.url);
});

after(async () => {
  await browser?.close();
  proxy?.closeAllConnections();
  proxy?.close();
  await server?.stop();
});

test("while the server is gone the offline page is shown, and the wanted page once it is back", STORY, async (t) => {
  const direct = await loaded(t, server.url);
  const proxied = await loaded(t, proxy.url, { colorScheme: "dark" });
  assert.deepEqual(await direct.evaluate(() => caches.keys()), [], "no response is kept");

  await server.running.end("SIGTERM");
  for (const [page, url] of [[direct, server.url], [proxied, proxy.url]]) {
    assert.equal((await page.goto(`${url}/play#KQ7F2M`)).status(), 503);
    await page.getByRole("heading", { name: "The server cannot be reached" }).waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} wider than the screen`);
    await page.screenshot({ path: join(shots, `offline-${page === direct ? "light" : "dark"}.png`) });
  }
  await assert.rejects(direct.evaluate(() => fetch("/style.css")), /Failed to fetch/, "an asset is the network's");
  const inspector = await direct.context().newPage();
  await assert.rejects(inspector.goto(`${server.url}/dev/inspector`), /ERR_CONNECTION_REFUSED/, "the server's own paths are the network's");

  await server.startAgain();
  for (const [page, url] of [[direct, server.url], [proxied, proxy.url]]) {
    await page.getByLabel("Your name").waitFor();
    assert.equal(page.url(), `${url}/play#KQ7F2M`);
  }
});

test("an answer of a server that is there is shown, also one of 502", STORY, async (t) => {
  const page = await loaded(t, proxy.url);
  await page.goto(`${proxy.url}/broken`);
  await page.getByText("the page is broken").waitFor();
});

test("a page that does not want it has none, and loses the one it had", STORY, async (t) => {
  const page = await loaded(t, server.url);
  const file = join(server.folder, "web/page.js"), text = await readFile(file, "utf8");
  t.after(() => writeFile(file, text));
  await writeFile(file, text.replace('new Chorus("/ws", {', 'new Chorus("/ws", { offlinePage: false,'));
  await page.reload();
  await page.waitForFunction(async () => (await navigator.serviceWorker.getRegistrations()).length === 0);
});

/** A page on a phone, with the worker in control. */
async function loaded(t, url, { colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: PHONE, colorScheme });
  t.after(() => context.close());
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  t.after(() => assert.deepEqual(errors, []));
  await page.goto(url);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  return page;
}

/** A proxy for HTTP, which answers 502 for a server that is gone, and for one page. */
async function proxyOf(url) {
  const { hostname, port } = new URL(url);
  const proxy = createServer((asked, answer) => {
    const refuse = (text) => answer.writeHead(502, { "Content-Type": "text/plain" }).end(text);
    if (asked.url === "/broken") return refuse("the page is broken");
    const passed = request({ hostname, port, path: asked.url, method: asked.method, headers: asked.headers, agent: false });
    passed.on("response", (response) => (answer.writeHead(response.statusCode, response.headers), response.pipe(answer)));
    passed.on("error", () => refuse("Bad Gateway"));
    asked.pipe(passed);
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  return Object.assign(proxy, { url: `http://127.0.0.1:${proxy.address().port}` });
}
