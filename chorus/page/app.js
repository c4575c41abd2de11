/**
 * The page: one client, and one of four screens at a time. What a screen shows is the view of the room that the
 * session is in; `lobby.js` and `game.js` draw them. No build step: the browser reads these files as they are.
 */

import { Chorus } from "/chorus.js";
import { showDeveloper } from "./developer.js";
import { $, say, sentence, toast } from "./dom.js";
import { gameScreen } from "./game.js";
import { lobbyScreen } from "./lobby.js";
import { trick } from "./trick.js";

const client = new Chorus("/ws", { retry: { maxMs: 5000 } });
const screens = { lobby: lobbyScreen(client, rename), "tic-tac-toe": gameScreen(client) };
let retryAt = 0;
/** The code of a room that this page is on its way to: that of its address, `/#KQ7F2M`. */
let invitation = null;
/** Closed because this player goes on in another tab. */
let elsewhere = false;

client.on("connecting", showConnection);
client.on("connected", () => (showConnection(), client.room && showRoom(client.room)));
client.on("disconnected", (lost) => (lost.willRetry ? waitUntil(lost.inMs) : showClosed(lost)));
client.on("reset", () => {
  toast("The server no longer knew this player, so this is a new one.");
  followInvitation();
});
client.on("duplicate", () => toast("This player is open in another tab, so this is a new one."));
client.on("error", (error) => toast(error.message));
client.on("room", enter);
client.on("left", () => client.room && showRoom(client.room));
setInterval(showConnection, 250);
showDeveloper(client);
trick(client);
begin();

// ---- rooms ----

function enter(room) {
  room.onView(() => room === client.room && showRoom(room));
  room.onEvent((type, data) => screens[room.kind]?.event?.(type, data));
}

/** A reload comes back to the room of the page's address, and a friend who is sent it comes in. */
function showAddress(room) {
  const hash = room.code ? `#${room.code}` : "";
  if (invitation === null && location.hash !== hash) history.replaceState(null, "", hash || location.pathname);
}

/** Goes into the room of the page's address, if it has one. */
async function followInvitation() {
  const code = location.hash.slice(1);
  if (!code || code === invitation) return;
  invitation = code;
  try {
    await client.join(code).catch(async (error) => {
      // The address of another room was typed.
      if (error.code !== "elsewhere") throw error;
      await client.room.leave();
      await client.join(code);
    });
  } catch (error) {
    if (error.code !== "closed") toast(sentence(error.message));
  } finally {
    invitation = null;
    if (client.room) showRoom(client.room);
  }
}

addEventListener("hashchange", () => client.state !== "idle" && followInvitation());

function showRoom(room) {
  const screen = screens[room.kind];
  if (!screen) return toast(`This page does not know how to show a ${room.kind}.`);
  showAddress(room);
  show(screen.id);
  screen.draw(room);
}

/** Shows one screen. The keyboard's focus moves with it. */
function show(id) {
  const screen = $(id);
  if (!screen.hidden) return;
  for (const other of document.querySelectorAll(".screen")) other.hidden = other !== screen;
  document.title = "chorus";
  (screen.querySelector("[autofocus], input, button.primary:not([hidden])") ?? screen).focus({ preventScroll: true });
}

// ---- names ----

/** A reload goes on where it was; a new tab is a new player and is asked for a name. */
function begin() {
  showConnection();
  if (client.resumable) return comeIn();
  $("hello-invited").hidden = location.hash.length < 2;
  $("hello-name").value = localStorage.getItem("chorus name") ?? "";
  show("hello");
}

$("hello-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("hello-name").value.trim();
  if (!name) return;
  localStorage.setItem("chorus name", name);
  client.forget(name);
  comeIn();
});

function comeIn() {
  client.connect();
  followInvitation();
}

function rename() {
  client.close();
  client.forget();
  begin();
}

// ---- the connection ----

function waitUntil(inMs) {
  retryAt = Date.now() + inMs;
  showConnection();
}

function showConnection() {
  const [state, text] = connection();
  $("connection").dataset.state = state;
  say($("connection"), text);
  $("retry").hidden = client.state !== "waiting";
}

$("retry").addEventListener("click", () => client.retryNow());

function connection() {
  const inSeconds = Math.ceil((retryAt - Date.now()) / 1000);
  if (client.state === "connected") return ["good", "Connected"];
  if (client.state === "connecting") return ["busy", retryAt ? "Reconnecting …" : "Connecting …"];
  if (client.state === "waiting") return ["busy", inSeconds > 0 ? `Reconnecting in ${inSeconds} s` : "Reconnecting …"];
  return client.state === "idle" ? ["idle", ""] : ["off", "Not connected"];
}

const REASONS = {
  4501: ["You cannot come in", "The server did not accept who you are."],
  4503: ["You were sent out", "A room has removed you."],
  4504: ["Playing in another tab", "This player was opened elsewhere, so this tab has stopped."],
  4506: ["Something went wrong", "The server could not read what this page sent."],
};

function showClosed({ code, reason }) {
  const [title, text] = REASONS[code] ?? ["Disconnected", `The server closed the connection (${code}).`];
  say($("closed-title"), title);
  say($("closed-reason"), reason ? `${text} Reason: ${reason}.` : text);
  elsewhere = code === 4504;
  say($("closed-again"), elsewhere ? "Play here" : "Start again");
  showConnection();
  show("closed");
}

$("closed-again").addEventListener("click", () => {
  if (elsewhere) return client.playHere();
  client.forget();
  begin();
});
