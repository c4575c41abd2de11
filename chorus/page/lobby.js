/** The lobby's screen: find a game or stop looking, watch one, see how the last ones ended. */

import { $, ask, h, mark, quietly, say, sentence, toast } from "./dom.js";

const KIND = "tic-tac-toe";

/** The lists are requested again after an event, at most this often; and now and then, since games also end without one. */
const LOOK_AT_MOST_MS = 1000;
const LOOK_AT_LEAST_MS = 15_000;
/** Rows of a list, newest first. */
const SHOWN = 6;

export function lobbyScreen(client, rename) {
  let room = null;
  /** The place in the queue; null when not looking for a game. */
  let position = null;
  let waiting = 0;
  let nextLook;

  $("lobby-find").addEventListener("click", find);
  $("lobby-cancel").addEventListener("click", cancel);
  $("lobby-friend").addEventListener("click", playWithFriend);
  $("lobby-rename").addEventListener("click", rename);
  client.on("connected", back);
  setInterval(() => document.visibilityState === "visible" && look(), LOOK_AT_LEAST_MS);
  return { id: "lobby", draw, event };

  function draw(lobby) {
    const arrived = lobby !== room;
    room = lobby;
    say($("lobby-name"), client.name ?? "you");
    if (!arrived) return;
    position = null;
    drawQueue();
    look();
  }

  function event(type, data) {
    if (type === "waiting" || type === "welcome") waiting = data.count ?? data.waiting;
    // A player who leaves the queue ahead of us brings us forward.
    if (type === "waiting" && position !== null) position = Math.max(1, Math.min(position, waiting));
    if (room) drawQueue();
    nextLook ??= setTimeout(look, LOOK_AT_MOST_MS);
  }

  // ---- the lobby's lists ----

  /** The lobby's view never changes, so that ten thousand members cost it nothing: its lists are requested. */
  async function look() {
    clearTimeout(nextLook);
    nextLook = undefined;
    if (!isHere()) return;
    const asked = room;
    const seen = await quietly(asked.send("look", {}));
    if (!seen || asked !== room) return;
    ({ waiting, position } = seen);
    drawQueue();
    drawList($("lobby-games"), seen.games.toReversed(), gameRow, "Nobody is playing right now.");
    drawList($("lobby-results"), seen.results.toReversed(), resultRow, "No game has ended yet.");
  }

  /** A lost connection loses the place in the queue too, so the client takes another. */
  async function back() {
    if (!isHere()) return;
    if (position !== null) await quietly(room.send("joinOrCreate", { kind: KIND }));
    look();
  }

  function isHere() {
    return room !== null && room === client.room && client.state === "connected";
  }

  // ---- the queue ----

  function drawQueue() {
    const looking = position !== null;
    const others = Math.max(0, waiting - (looking ? 1 : 0));
    say($("lobby-waiting"), waitingText(others, looking));
    say($("lobby-seeking"), looking ? `Looking … you are number ${position}` : "");
    const focus = document.activeElement;
    $("lobby-seeking").hidden = !looking;
    $("lobby-cancel").hidden = !looking;
    $("lobby-find").hidden = looking;
    // The keyboard stays at whichever of the two buttons there is.
    if (focus === $("lobby-find") && looking) $("lobby-cancel").focus();
    if (focus === $("lobby-cancel") && !looking) $("lobby-find").focus();
  }

  async function find() {
    const asked = room;
    $("lobby-find").setAttribute("aria-busy", "true");
    const reply = await ask(asked, "joinOrCreate", { kind: KIND });
    $("lobby-find").removeAttribute("aria-busy");
    if (!reply || room !== asked || asked.left !== null) return;
    position = reply.position ?? 1;
    drawQueue();
  }

  /** Into a room that others come to by its address alone. */
  async function playWithFriend() {
    try {
      await client.create(KIND, {}, { private: true });
    } catch (error) {
      toast(sentence(error.message));
    }
  }

  async function cancel() {
    if ((await ask(room, "cancel", {})) === undefined) return;
    position = null;
    drawQueue();
  }

  function gameRow(game) {
    const [one, other] = game.players ?? [];
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
  const [one, other] = result.players ?? [];
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

/** A list is drawn again only when it changed, so that a button under the finger stays. */
function drawList(list, items, row, whenEmpty) {
  const now = JSON.stringify(items);
  if (list.dataset.shown === now) return;
  list.dataset.shown = now;
  const note = (text) => [h("li", { class: "empty" }, text)];
  const more = items.length - SHOWN;
  const rows = items.length > 0 ? items.slice(0, SHOWN).map(row) : note(whenEmpty);
  list.replaceChildren(...rows, ...(more > 0 ? note(`and ${more} more`) : []));
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
