/**
 * The service worker of a game's page: while the server is gone, a navigation is answered by the offline page, `PAGE`, which the server puts
 * before this text (`offline.html`). The client registers it, see `offlinePage` in clients/js/chorus.js.
 *
 * The network is always first, and no response is kept: a page that is shown is the server's own, also in development. Assets, requests of
 * scripts and the server's own paths are not intercepted.
 */

/** `RESERVED` in chorus/src/web/mod.rs. */
const OWN = /^\/(v1|dev|ws|healthz|readyz|metrics)(\/|$)/;

/** The statuses by which a proxy reports that the server behind it is gone. */
const FROM_PROXIES = [502, 503, 504];

/** How long the server has to answer whether it is there. */
const ANSWER_MS = 5000;

// A new version takes the place of the old one at once: it has no state.
addEventListener("install", () => self.skipWaiting());
addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

addEventListener("fetch", (event) => {
  const { mode, method, url } = event.request;
  // The form of a POST is not sent again by itself.
  if (mode !== "navigate" || method !== "GET" || OWN.test(new URL(url).pathname)) return;
  event.respondWith(answerTo(event.request));
});

async function answerTo(request) {
  const answer = await fetch(request).catch(() => null);
  // The server itself has such answers too: for a development server that is gone, for instance.
  if (answer !== null && (!FROM_PROXIES.includes(answer.status) || (await isThere()))) return answer;
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
  };
  return new Response(PAGE, { status: 503, headers });
}

async function isThere() {
  const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => null);
  return answer?.ok === true;
}
