// Brings the player into a room and keeps the frame around it: the name, the connection, the invitation, and errors. `game.js` draws the room.
//
// The address has the room's code (`/play#KQ7F2M`), so it is an invitation, and a reload comes back to the room.

import { Chorus } from "/chorus.js";
import { $, each, element, setText } from "./dom.js";

/** @import { ChorusError, MessageArgumentsOf, MessageTypeOf, ReplyOf, Room, ViewOf } from "/chorus.js" */

/**
 * A game, by the declaration of its room in `shared/`.
 * @template T
 * @typedef {object} Game
 * @property {string} kind the folder in `rooms/`
 * @property {string} [name] the room that "Play" goes into, for all players of this page; by default one with a free seat
 * @property {(view: ViewOf<T>, room: Room<T>) => void} draw
 * @property {(room: Room<T>) => void} [entered] once for each room: listen to its events here
 */

/**
 * Sends a message. A refusal is shown, and resolves with undefined.
 * @template T
 * @typedef {<Type extends MessageTypeOf<T>>(type: Type, ...data: MessageArgumentsOf<T, Type>) => Promise<ReplyOf<T, Type> | undefined>} Send
 */

const client = new Chorus("/ws", { retry: { maxMs: 5_000 } });
/** @type {Game<any>} */
let game;
/** @type {Room | null} */
let room = null;
/** When the next attempt to connect is due; 0 if no connection was lost. */
let retryAt = 0;
/** The code with which the server has closed the connection for good. */
let closedBy = 0;

const nameInput = /** @type {HTMLInputElement} */ ($("name"));
const codeInput = /** @type {HTMLInputElement} */ ($("code"));

/** Begins the page, and returns `send` with the types of the game. @template T @param {Game<T>} given @returns {Send<T>} */
export function open(given) {
  game = given;
  begin();
  return send;
}

function begin() {
  nameInput.value = sessionStorage.getItem("name") ?? localStorage.getItem("name") ?? "";
  // A reload goes on where it was. A new tab is a new player, who is asked for a name.
  if (!client.resumable) return showStart();
  client.connect();
  if (invitation()) enter(() => client.join(invitation()));
  else showStart();
}

/** @param {string} type @param {unknown} [data] @returns {Promise<any>} */
async function send(type, data) {
  try {
    return await room?.send(type, data);
  } catch (error) {
    toast(sentence(/** @type {Error} */ (error).message));
    return undefined;
  }
}

/** Shows a message for some seconds. @param {string} text */
export function toast(text) {
  const box = $("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(Number(box.dataset.timer));
  box.dataset.timer = String(setTimeout(() => { box.hidden = true; }, 5_000));
}

/** Milliseconds until a time of the server, by its clock: the device's may be wrong. @param {number} endsAt milliseconds since 1970 */
export function msUntil(endsAt) {
  return Math.max(0, endsAt - client.now());
}

/** Seconds until a time of the server, as a text: "12 s". Empty if there is no such time. @param {number | null} endsAt milliseconds since 1970 */
export function secondsUntil(endsAt) {
  return endsAt === null ? "" : `${Math.ceil(msUntil(endsAt) / 1000)} s`;
}

/** Has a screen reader read this. @param {string} text */
export function say(text) {
  setText($("said"), text);
}

/** Draws who is in the room. @param {readonly { name: string, connected: boolean, you: boolean, turn?: boolean, note?: string }[]} players */
export function drawPlayers(players) {
  const make = () => {
    const item = element("li");
    item.append(element("span", "who"), element("span", "note"));
    return item;
  };
  each($("players"), players, (_, index) => index, make, (item, { name, connected, you, turn = false, note = "" }) => {
    item.classList.toggle("away", !connected);
    item.classList.toggle("turn", turn);
    setText(/** @type {HTMLElement} */ (item.children[0]), name);
    setText(/** @type {HTMLElement} */ (item.children[1]), !connected ? "connection lost" : [you ? "you" : "", note].filter(Boolean).join(" · "));
  });
}

// ---- ways into a room, and out of it ----

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  takeName();
  const code = invitation();
  if (code) enter(() => client.join(code));
  else enter(() => client.joinOrCreate(game.kind, {}, game.name === undefined ? {} : { name: game.name }));
});

$("friends").addEventListener("click", () => {
  if (!/** @type {HTMLFormElement} */ ($("enter")).reportValidity()) return;
  takeName();
  enter(() => client.create(game.kind, {}, { private: true }));
});

$("by-code").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = codeInput.value.trim().toUpperCase();
  if (!/** @type {HTMLFormElement} */ ($("enter")).reportValidity()) return;
  takeName();
  enter(() => client.join(code));
});

$("leave").addEventListener("click", async () => {
  try {
    await room?.leave();
  } catch (error) {
    toast(sentence(/** @type {Error} */ (error).message));
  }
});

// Another code was typed into the address, or the Back button was pressed.
addEventListener("hashchange", () => {
  const code = invitation();
  if (code === (room?.code ?? "")) return;
  if (room !== null && code !== "") enter(() => client.join(code));
  else showStart();
});

/** Goes into a room, by one of the client's calls. @param {() => Promise<Room>} into */
async function enter(into) {
  show("entering");
  try {
    await into().catch(async (error) => {
      // The player is in another room, as after the Back button.
      if (error.code !== "elsewhere") throw error;
      await client.room?.leave();
      return into();
    }).then(entered);
  } catch (error) {
    const { code, message } = /** @type {ChorusError} */ (error);
    if (code === "closed") return;
    setInvitation("");
    showStart();
    toast(code === "not_found" ? "This game has ended, or the code is wrong." : sentence(message));
  }
}

/** Connects under the name of the form. A session has one name: with another one, the player begins a new session. */
function takeName() {
  const name = nameInput.value.trim() || "Player";
  if (client.state !== "idle" && client.state !== "closed" && sessionStorage.getItem("name") === name) return;
  localStorage.setItem("name", name);
  sessionStorage.setItem("name", name);
  client.close();
  client.forget(name);
  client.connect();
}

/** @param {Room} next */
function entered(next) {
  if (room !== next) {
    room = next;
    next.onView((view) => game.draw(view, next));
    next.onLeft(() => room === next && gone());
    game.entered?.(next);
  }
  setInvitation(next.code ?? "");
  setText($("room-code"), next.code ?? "");
  show("room");
  game.draw(next.view, next);
}

/** The player has left, or the room has ended. */
function gone() {
  room = null;
  setInvitation("");
  showStart();
}

// The server no longer has the session: the player comes back as a new one.
client.on("reset", () => {
  const code = invitation();
  room = null;
  if (code) enter(() => client.join(code));
});

// ---- the invitation ----

/** The code in the page's address; empty without one. */
function invitation() {
  return decodeURIComponent(location.hash.slice(1)).toUpperCase();
}

/** @param {string} code */
function setInvitation(code) {
  history.replaceState(null, "", code === "" ? "/" : `/play#${code}`);
}

$("invite").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("The link is copied. Send it to a friend.");
  } catch {
    // A page that came over plain HTTP, as from `chorus dev --lan`, has no clipboard.
    prompt("Send this link to a friend:", location.href);
  }
});

// ---- what is shown ----

function showStart() {
  const code = invitation();
  $("play").textContent = code ? "Join the game" : "Play";
  for (const id of ["friends", "by-code"]) $(id).hidden = code !== "";
  show("start");
}

/** Shows one screen; the keyboard's focus goes with it. @param {"start" | "entering" | "room"} id */
function show(id) {
  if (!$(id).hidden) return;
  for (const screen of ["start", "entering", "room"]) $(screen).hidden = screen !== id;
  if (id === "start") nameInput.focus();
  if (id === "room") $("room").focus();
}

/** An error's message as a sentence. @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
}

// ---- the connection ----

/** The close code of a session that has gone on in another tab. */
const ELSEWHERE = 4504;
const CLOSED = /** @type {Record<number, string>} */ ({
  4501: "The server did not accept who you are.",
  4503: "You were removed from the game.",
  [ELSEWHERE]: "You play on in another tab.",
});

client.on("connecting", drawConnection);
client.on("connected", () => ((retryAt = 0), drawConnection()));
client.on("error", (error) => toast(sentence(error.message)));
client.on("disconnected", (lost) => {
  if (lost.willRetry) {
    retryAt = Date.now() + lost.inMs;
  } else {
    closedBy = lost.code;
    setText($("lost-text"), CLOSED[lost.code] ?? `The server has closed the connection: ${lost.reason || lost.code}.`);
  }
  drawConnection();
});
setInterval(drawConnection, 500);

function drawConnection() {
  const { state } = client;
  const isLost = state === "waiting" || (state === "connecting" && retryAt > 0), isClosed = state === "closed";
  const at = $("connection");
  at.dataset.state = state === "connected" ? "good" : isLost ? "lost" : isClosed ? "closed" : "idle";
  setText(at, state === "connected" ? "Connected" : isLost ? "Reconnecting …" : isClosed ? "Not connected" : state === "connecting" ? "Connecting …" : "");
  $("lost").hidden = !isLost && !isClosed;
  setText($("retry"), !isClosed ? "Try now" : closedBy === ELSEWHERE ? "Play here" : "Begin again");
  if (isLost) setText($("lost-text"), "The connection is lost. Your seat is kept.");
}

$("retry").addEventListener("click", () => {
  if (client.state !== "closed") return client.retryNow();
  const code = invitation();
  if (closedBy !== ELSEWHERE) {
    client.forget();
    return location.reload();
  }
  client.playHere();
  if (code) enter(() => client.join(code));
});
