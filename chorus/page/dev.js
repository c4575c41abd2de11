/**
 * The author's page: how each guest stands, and what rooms log and throw, from `GET /dev/events`. `chorus dev` serves it to
 * this machine alone; players see none of it.
 */

import { $, h, say } from "./dom.js";
import { kill, killButton, seconds } from "./kill.js";

/** Lines that stay. */
const LINES = 200;

const TITLES = {
  building: (kind) => `Building ${kind} …`,
  built: (kind) => `${kind} is built`,
  published: (kind) => `${kind} is built; new rooms run it`,
  swapped: (kind, rooms) => `${kind} was swapped in ${rooms} room${rooms === 1 ? "" : "s"}`,
  "build-failed": (kind) => `${kind} does not build; its rooms keep the previous version`,
  "swap-refused": (kind) => `The swap of ${kind} was refused; its rooms keep the previous version`,
};

/** A browser does not try again itself after an answer that is no stream, as from a proxy whose server is gone. */
const FOLLOW_AGAIN_MS = 1000;

follow();

/** The server first sends the state of all kinds. */
function follow() {
  const events = new EventSource("/dev/events");
  const on = (name, listener) => events.addEventListener(name, (event) => listener(JSON.parse(event.data)));
  events.addEventListener("open", () => {
    $("guests").replaceChildren();
    showConnection("good", "Connected");
  });
  events.addEventListener("error", () => {
    showConnection("busy", "Reconnecting …");
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, FOLLOW_AGAIN_MS);
  });
  on("status", showStatus);
  on("log", showLine);
  on("missed", ({ events: missed }) => {
    $("guests").replaceChildren();
    showLine({ kind: "chorus dev", room: "", level: "warning", text: `${missed} events are not shown: this page did not take them in time` });
  });
}

function showConnection(state, text) {
  $("connection").dataset.state = state;
  say($("connection"), text);
}

/** Shows the state of a kind, until its folder is deleted. */
function showStatus({ kind, state, message, rooms, warnings = [] }) {
  const old = [...$("guests").children].find((row) => row.dataset.kind === kind);
  if (state === "gone") return old?.remove();
  const words = [message, ...warnings.map((warning) => `warning: ${warning}`)].filter(Boolean);
  const row = h(
    "div",
    { class: "banner", "data-kind": kind, "data-state": state, "data-testid": `guest-${kind}` },
    h(
      "div",
      { class: "grow" },
      h("strong", {}, TITLES[state]?.(kind, rooms) ?? `${kind}: ${state}`),
      words.length > 0 ? h("pre", {}, words.join("\n")) : null,
    ),
  );
  if (old) old.replaceWith(row);
  else $("guests").append(row);
}

function showLine({ kind, room, level, text }) {
  const row = h("li", { "data-level": level }, h("b", {}, `${kind} ${room}`.trim()), h("pre", {}, text));
  $("log-lines").prepend(row);
  while ($("log-lines").children.length > LINES) $("log-lines").lastChild.remove();
}

killButton(async () => {
  const { ms, kills } = await kill();
  return `The server was killed, and back ${seconds(ms)} later: ${kills} time${kills === 1 ? "" : "s"} so far.`;
});
