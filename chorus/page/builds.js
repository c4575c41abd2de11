/**
 * What `chorus dev` says of the guests that it builds and swaps, from `GET /dev/events`: one banner for each kind.
 * A server without that address has nothing to say, and neither has this file.
 */

import { $, h } from "./dom.js";

const TITLES = {
  building: (kind) => `Building ${kind} …`,
  built: (kind) => `${kind} is built`,
  swapped: (kind, rooms) =>
    `${kind} was swapped${rooms === undefined ? "" : ` in ${rooms} room${rooms === 1 ? "" : "s"}`}`,
  "build-failed": (kind) => `${kind} does not build; its rooms go on as they were`,
  "swap-refused": (kind) => `${kind} could not take over; its rooms go on as they were`,
};

/** Good news goes away by itself. Bad news stays until there is other news of that kind. */
const PASSING_MS = 5000;
const STAYS = ["building", "build-failed", "swap-refused"];

export function watchBuilds() {
  const events = new EventSource("/dev/events");
  events.addEventListener("status", (event) => show(JSON.parse(event.data)));
}

function show({ kind, state, message, rooms }) {
  const old = [...$("banners").children].find((banner) => banner.dataset.kind === kind);
  const banner = h(
    "div",
    { class: "banner", "data-kind": kind, "data-state": state, "data-testid": `banner-${kind}` },
    h(
      "div",
      { class: "grow" },
      h("strong", {}, TITLES[state]?.(kind, rooms) ?? `${kind}: ${state}`),
      message && state.includes("-") ? h("pre", {}, message) : null,
    ),
    h("button", { class: "small quiet", "aria-label": "Dismiss", click: () => banner.remove() }, "✕"),
  );
  if (old) old.replaceWith(banner);
  else $("banners").append(banner);
  if (!STAYS.includes(state)) setTimeout(() => banner.remove(), PASSING_MS);
}
