/** The game's screen, for players and for those who watch. The view says everything; nothing is kept here but the focus. */

import { $, ask, h, mark, say, toast } from "./dom.js";

export function gameScreen(client) {
  let room = null;
  /** The longest that was left of the present turn: what a full clock means. */
  let turnLength = { deadline: null, ms: 0 };
  const cells = Array.from({ length: 9 }, (_, cell) => cellButton(cell));
  $("board").append(...[0, 3, 6].map((row) => h("div", { role: "row", class: "line" }, ...cells.slice(row, row + 3))));
  $("board").addEventListener("keydown", moveFocus);
  document.addEventListener("keydown", playByNumber);
  $("game-rematch").addEventListener("click", rematch);
  $("game-leave").addEventListener("click", () => ask(room, "leave", {}));
  $("game-invite").addEventListener("click", invite);
  setInterval(drawClock, 200);
  return { id: "game", draw };

  function cellButton(cell) {
    return h("button", {
      class: "cell",
      role: "gridcell",
      tabindex: cell === 4 ? "0" : "-1",
      "data-testid": `cell-${cell}`,
      click: () => play(cell),
    });
  }

  // ---- drawing ----

  function draw(game) {
    room = game;
    const view = room.view;
    cells.forEach((button, cell) => drawCell(button, cell, view));
    [0, 1].forEach((seat) => drawPlayer(seat, view));
    const status = statusText(view);
    say($("game-status"), status);
    $("game-status").dataset.mood = mood(view);
    say($("game-note"), noteText(view));
    drawButtons(view);
    drawClock();
    document.title = `${status} · chorus`;
  }

  function drawCell(button, cell, view) {
    const owner = view.board[cell];
    const drawn = button.dataset.owner ?? "";
    if (drawn !== String(owner ?? "")) {
      button.replaceChildren(...(owner === null ? [] : [mark(owner)]));
      if (owner === null) delete button.dataset.owner;
      else button.dataset.owner = owner;
    }
    const playable = owner === null && myTurn(view);
    button.classList.remove("sent");
    button.classList.toggle("winning", view.line?.includes(cell) ?? false);
    // Not `disabled`: the arrows go over taken cells too.
    button.setAttribute("aria-disabled", String(!playable));
    button.setAttribute(
      "aria-label",
      `Row ${Math.floor(cell / 3) + 1}, column ${(cell % 3) + 1}: ${ownerText(owner, view)}`,
    );
    button.dataset.ghost = view.you ?? "";
  }

  function drawPlayer(seat, view) {
    const connected = isConnected(view, seat);
    const element = $(`player-${seat}`);
    const now = JSON.stringify([nameOf(view, seat), view.you, connected]);
    element.classList.toggle("turn", view.winner === null && !isOpen(view) && view.turn === seat);
    element.classList.toggle("won", view.winner === seat);
    element.classList.toggle("away", !connected);
    if (element.dataset.shown === now) return;
    element.dataset.shown = now;
    element.replaceChildren(
      mark(seat),
      h(
        "div",
        { class: "who" },
        h("strong", {}, nameOf(view, seat) || "Nobody yet"),
        h("small", {}, view.you === seat ? "You" : connected ? "Connected" : nameOf(view, seat) ? "Away" : ""),
      ),
    );
  }

  function drawButtons(view) {
    const over = view.winner !== null;
    const asked = wantsRematch(view, view.you);
    $("game-rematch").hidden = !over || view.you === null;
    $("game-rematch").disabled = asked;
    say($("game-rematch"), asked ? "Waiting for the other …" : "Rematch");
    say($("game-leave"), view.you === null ? "Stop watching" : "Leave");
    $("game-hint").hidden = over || view.you === null || isOpen(view);
    $("game-invite").hidden = room.code === null;
    $("game-code").hidden = room.code === null || !isOpen(view);
    say($("game-code"), room.code ? `Code ${room.code}` : "");
  }

  function drawClock() {
    const deadline = room?.view?.winner === null ? room.view.deadline : null;
    $("game-clock").hidden = !deadline;
    if (!deadline) return;
    const ms = Math.max(0, deadline - client.now());
    if (turnLength.deadline !== deadline) turnLength = { deadline, ms };
    const share = turnLength.ms > 0 ? ms / turnLength.ms : 0;
    $("game-clock").dataset.turn = room.view.turn;
    $("game-clock-left").style.transform = `scaleX(${share.toFixed(3)})`;
    $("game-clock").classList.toggle("soon", ms < 6000);
    say($("game-clock-text"), `${Math.ceil(ms / 1000)} s`);
  }

  // ---- playing ----

  /** The page's address has the room's code. */
  async function invite() {
    try {
      await navigator.clipboard.writeText(location.href);
      toast("The link is copied: send it to a friend.");
    } catch {
      toast(`Send this link to a friend: ${location.href}`); // Not over TLS or from loopback, or forbidden.
    }
  }

  async function play(cell) {
    const button = cells[cell];
    if (button.getAttribute("aria-disabled") === "true") return;
    button.classList.add("sent");
    await ask(room, "move", { cell });
    button.classList.remove("sent");
  }

  async function rematch() {
    $("game-rematch").disabled = true;
    const asked = await ask(room, "rematch", {});
    if (asked === undefined) $("game-rematch").disabled = false;
  }

  function moveFocus(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const from = cells.indexOf(document.activeElement);
    if (!step || from < 0) return;
    event.preventDefault();
    const row = (Math.floor(from / 3) + step[0] + 3) % 3;
    const column = ((from % 3) + step[1] + 3) % 3;
    for (const button of cells) button.tabIndex = -1;
    cells[row * 3 + column].tabIndex = 0;
    cells[row * 3 + column].focus();
  }

  function playByNumber(event) {
    const typing = event.target.closest?.("input, textarea") || event.ctrlKey || event.metaKey || event.altKey;
    if ($("game").hidden || typing || !/^[1-9]$/.test(event.key)) return;
    play(Number(event.key) - 1);
  }
}

// ---- words ----

const nameOf = (view, seat) =>
  (typeof view.seats[seat] === "string" ? view.seats[seat] : view.seats[seat]?.name) ?? "Nobody";
const isConnected = (view, seat) => view.seats[seat]?.connected ?? true;
const wantsRematch = (view, seat) =>
  Boolean(Array.isArray(view.rematch) && seat !== null && (view.rematch[seat] === true || view.rematch.includes(seat)));
/** A seat is nobody's yet. */
const isOpen = (view) => view.seats.some(({ name }) => name === "");
const myTurn = (view) => view.winner === null && !isOpen(view) && view.you !== null && view.turn === view.you;

function ownerText(owner, view) {
  if (owner === null) return "empty";
  return owner === view.you ? "you" : nameOf(view, owner);
}

function statusText(view) {
  if (view.winner === "draw") return "A draw";
  if (view.winner !== null) return view.winner === view.you ? "You won!" : `${nameOf(view, view.winner)} won`;
  if (isOpen(view)) return "Waiting for an opponent";
  return myTurn(view) ? "Your turn" : `${nameOf(view, view.turn)}’s turn`;
}

function mood(view) {
  if (view.winner === null) return myTurn(view) ? "act" : "wait";
  if (view.you === null || view.winner === "draw") return "even";
  return view.winner === view.you ? "glad" : "sad";
}

function noteText(view) {
  const other = view.you === null ? null : 1 - view.you;
  if (view.winner === null && isOpen(view)) return "The game begins when a friend opens the address of this page.";
  if (view.winner !== null) return endText(view, other);
  const away = [0, 1].filter((seat) => seat !== view.you && !isConnected(view, seat));
  if (away.length > 0)
    return `${away.map((seat) => nameOf(view, seat)).join(" and ")} lost the connection. The seat is kept for a while.`;
  return view.you === null ? `You are watching ${nameOf(view, 0)} and ${nameOf(view, 1)}.` : "";
}

function endText(view, other) {
  if (wantsRematch(view, other)) return `${nameOf(view, other)} wants to play again.`;
  if (view.winner === "draw" || view.line) return "";
  return `${nameOf(view, 1 - view.winner)} ran out of time, or left.`;
}
