/** The lobby's screen: find a game or stop looking, watch one, see how the last ones ended. */

import { $, ask, h, mark, say } from "./dom.js";

export function lobbyScreen(client, rename) {
  let room = null;
  /** The place in the queue; null when not looking. */
  let position = null;

  $("lobby-find").addEventListener("click", find);
  $("lobby-cancel").addEventListener("click", cancel);
  $("lobby-rename").addEventListener("click", rename);
  return { id: "lobby", draw, event };

  function draw(lobby) {
    if (lobby !== room) position = null;
    room = lobby;
    // What this page does not remember after a reload, the view may.
    if (room.view?.position !== undefined) position = room.view.position;
    say($("lobby-name"), client.name ?? "you");
    drawQueue();
    drawList($("lobby-games"), room.view?.games ?? [], gameRow, "Nobody is playing right now.");
    drawList($("lobby-results"), (room.view?.results ?? []).slice(0, 6), resultRow, "No game has ended yet.");
  }

  function drawQueue() {
    const looking = position !== null;
    const others = Math.max(0, count(room.view?.waiting) - (looking ? 1 : 0));
    say($("lobby-waiting"), waitingText(others, looking));
    say($("lobby-seeking"), looking ? `Looking … you are number ${position}` : "");
    $("lobby-seeking").hidden = !looking;
    $("lobby-cancel").hidden = !looking;
    $("lobby-find").hidden = looking;
  }

  async function find() {
    const asked = room;
    $("lobby-find").disabled = true;
    const reply = await ask(asked, "find", { kind: "tic-tac-toe" });
    $("lobby-find").disabled = false;
    if (!reply || room !== asked || asked.left !== null) return;
    position = reply.position ?? 1;
    drawQueue();
    $("lobby-cancel").focus();
  }

  async function cancel() {
    await ask(room, "cancel", {});
    position = null;
    drawQueue();
    $("lobby-find").focus();
  }

  function event(type, data) {
    // Whoever leaves the queue ahead of us brings us forward.
    if (type === "waiting" && position !== null && data?.count < position) position = Math.max(1, data.count);
    if (room) drawQueue();
  }

  function gameRow(game) {
    const [one, other] = (game.players ?? []).map(nameOf);
    const watch = () => ask(room, "watch", { room: game.room });
    return h(
      "li",
      {},
      h("span", { class: "grow pair" }, mark(0), one ?? "?", " ", mark(1), other ?? "?"),
      h("time", { "data-since": game.since ?? null }, ago(game.since)),
      h(
        "button",
        { class: "small", "data-testid": "watch", "aria-label": `Watch ${one} and ${other}`, click: watch },
        "Watch",
      ),
    );
  }
}

function waitingText(others, looking) {
  if (others === 0)
    return looking ? "You are the first. Send somebody the address." : "Nobody is waiting. Be the first.";
  if (others === 1) return looking ? "One more player is waiting." : "One player is waiting for an opponent.";
  return `${others} ${looking ? "more " : ""}players are waiting.`;
}

function resultRow(result) {
  const [one, other] = (result.players ?? result.seats ?? []).map(nameOf);
  const text = resultText(result.winner, one, other);
  return h(
    "li",
    {},
    h("span", { class: "grow" }, ...text),
    h("time", { "data-since": result.at ?? null }, ago(result.at)),
  );
}

function resultText(winner, one, other) {
  const name = (text) => h("strong", {}, text ?? "?");
  if (winner === 0) return [name(one), " beat ", name(other)];
  if (winner === 1) return [name(other), " beat ", name(one)];
  if (winner === "draw") return [name(one), " and ", name(other), " drew"];
  return [name(one), " and ", name(other), " stopped"];
}

const nameOf = (player) => (typeof player === "string" ? player : player?.name);
const count = (waiting) => (Array.isArray(waiting) ? waiting.length : Number(waiting ?? 0));

/** A list is drawn again only when it changed, so that a button under the finger stays. */
function drawList(list, items, row, whenEmpty) {
  const now = JSON.stringify(items);
  if (list.dataset.shown === now) return;
  list.dataset.shown = now;
  list.replaceChildren(...(items.length > 0 ? items.map(row) : [h("li", { class: "empty" }, whenEmpty)]));
}

function ago(since) {
  if (!since) return "";
  const minutes = Math.floor((Date.now() - since) / 60_000);
  if (minutes < 1) return "just now";
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-since]")) say(time, ago(Number(time.dataset.since)));
}, 10_000);
