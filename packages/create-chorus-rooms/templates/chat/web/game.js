// Draws the chat.

import { $, each, element, setText } from "./dom.js";
import { drawPlayers, open } from "./page.js";

/** @import { Room } from "/chorus.js" */
/** @import { Chat, Line, View } from "../shared/chat.ts" */
/** @import { Game } from "./page.js" */

const TYPING_MS = 3_000;

/** The number of this player among the people. @type {number | undefined} */
let mine;
let typedAt = 0;
/** @type {ReturnType<typeof setTimeout>} */
let typingEnds;

const text = /** @type {HTMLInputElement} */ ($("text"));

$("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const line = text.value.trim();
  if (line === "") return;
  text.value = "";
  // A refused line may be sent again.
  if ((await send("say", { text: line })) === undefined && text.value === "") text.value = line;
});

text.addEventListener("input", () => {
  if (Date.now() - typedAt < TYPING_MS) return;
  typedAt = Date.now();
  send("typing");
});

/** @param {View} view */
function draw({ lines, people }) {
  drawPlayers(people.map(({ number, name, connected }) => ({ name, connected, you: number === mine })));
  const list = $("lines");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  each(list, lines, ({ id }) => id, lineItem, (item, { from }, index) => {
    item.classList.toggle("mine", from === mine);
    item.classList.toggle("first", lines[index - 1]?.from !== from);
  });
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

/** @param {Line} line */
function lineItem({ from, name, text, at }) {
  const item = element("li");
  item.style.setProperty("--hue", String((from * 137) % 360));
  const time = element("time", "", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  item.append(element("span", "who", name), element("span", "", text), time);
  return item;
}

/** @param {Room<Chat>} room */
async function entered(room) {
  room.on("typing", ({ name }) => {
    setText($("typing"), `${name} is typing …`);
    clearTimeout(typingEnds);
    typingEnds = setTimeout(() => setText($("typing"), ""), TYPING_MS);
  });
  mine = (await send("me"))?.number;
  draw(room.view);
  $("lines").scrollTop = $("lines").scrollHeight;
  text.focus();
}

/** @type {Game<Chat>} */
const game = { kind: "chat", name: "town-square", draw, entered };
const send = open(game);
