// The offline page: when the client registers the server's service worker, and when it leaves the page's workers alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { FakeServer } from "./fake.js";

const PAGE = "https://game.example/play";
const OURS = "https://game.example/chorus-offline.js";

for (const { what, url = "/ws", options, found, done } of [
  { what: "is registered where page and server are one", done: ["register /chorus-offline.js"] },
  { what: "is registered once", found: OURS, done: [] },
  { what: "does not take the place of the page's own worker", found: "https://game.example/app-worker.js", done: [] },
  { what: "is not registered for a server elsewhere", url: "wss://rooms.example/ws", done: [] },
  { what: "is not registered where it is not wanted", options: { offlinePage: false }, done: [] },
  { what: "is removed where it is no longer wanted", options: { offlinePage: false }, found: OURS, done: [`unregister ${OURS}`] },
  { what: "leaves the page's own worker where it is not wanted", options: { offlinePage: false }, found: "https://game.example/app-worker.js", done: [] },
]) {
  test(`the offline page ${what}`, async (t) => {
    const browser = fakeBrowser(t, found);
    new FakeServer().client({ url, ...options });
    await setImmediate();
    assert.deepEqual(browser.done, [], "the page is loaded first");
    browser.loaded();
    await setImmediate();
    assert.deepEqual(browser.done, done);
  });
}

test("a browser that forbids workers changes nothing", async (t) => {
  const browser = fakeBrowser(t);
  Object.defineProperty(globalThis.navigator, "serviceWorker", { get: () => { throw new DOMException("sandboxed", "SecurityError"); } });
  new FakeServer().client({ url: "/ws" });
  browser.loaded();
  await setImmediate();
  assert.deepEqual(browser.done, []);
});

/** A page that still loads. `found`: the worker that it has. */
function fakeBrowser(t, found) {
  const done = [];
  const loading = new EventTarget();
  const registration = found && { active: { scriptURL: found }, unregister: async () => done.push(`unregister ${found}`) };
  const serviceWorker = { getRegistration: async () => registration, register: async (url) => done.push(`register ${url}`) };
  const globals = {
    document: Object.assign(new EventTarget(), { readyState: "loading", visibilityState: "visible" }),
    location: new URL(PAGE),
    navigator: { serviceWorker },
    addEventListener: (...details) => loading.addEventListener(...details),
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
  return { done, loaded: () => loading.dispatchEvent(new Event("load")) };
}
