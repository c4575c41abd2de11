/** The strip at the foot: who this page is to the server, and the latest frames. For those who write rooms. */

import { $, h } from "./dom.js";

const FRAMES = 20;

export function showDeveloper(client) {
  client.on("frame", ({ out, frame }) => {
    addFrame(out, frame);
    drawFacts(client);
  });
  $("developer").addEventListener("toggle", () => drawFacts(client));
}

function drawFacts(client) {
  if (!$("developer").open) return;
  const { room } = client;
  const facts = {
    Session: client.session ?? "–",
    Room: room ? `${room.kind} ${room.id}` : "–",
    Seq: room?.seq ?? "–",
    Resumes: client.resumes,
    Resent: client.resends,
    Duplicates: client.duplicates,
    Gaps: client.gaps,
  };
  $("developer-facts").replaceChildren(
    ...Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))),
  );
}

function addFrame(out, frame) {
  const { t, ...rest } = frame.resume ? { ...frame, resume: "…" } : frame; // A token that is read can be used to take the session.
  const row = h(
    "li",
    {},
    h("span", { class: out ? "out" : "in", "aria-label": out ? "sent" : "received" }, out ? "→" : "←"),
    h("b", {}, t),
    h("code", {}, JSON.stringify(rest)),
  );
  $("developer-frames").prepend(row);
  while ($("developer-frames").children.length > FRAMES) $("developer-frames").lastChild.remove();
}
