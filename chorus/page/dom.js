/** The few helpers that the page has for its elements. */

export const $ = (id) => document.getElementById(id);

/** `h("li", { class: "row" }, "text", child)`: properties that are functions are listeners. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

/** Sets text only when it differs, so that a screen reader does not hear it again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";
const MARKS = [
  ["path", { d: "M22 22L78 78M78 22L22 78" }],
  ["circle", { cx: 50, cy: 50, r: 30 }],
];

/** The mark of a seat: a cross for 0, a ring for 1. */
export function mark(seat) {
  const svg = document.createElementNS(SVG, "svg");
  const [tag, shape] = MARKS[seat];
  const line = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(shape)) line.setAttribute(name, value);
  line.setAttribute("pathLength", "1");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("class", seat === 0 ? "mark x" : "mark o");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  return svg;
}

let hideToast;

/** A few words that go away by themselves. */
export function toast(text) {
  const element = $("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(hideToast);
  hideToast = setTimeout(() => (element.hidden = true), 4000);
}

/** Like `Room.send`; a refusal becomes a toast, and the promise resolves with undefined. */
export async function ask(room, type, data) {
  try {
    return await room.send(type, data);
  } catch (error) {
    // After `applied` the view shows the result; after `reset` and `closed` the whole page changes.
    if (!["applied", "reset", "closed"].includes(error.code)) toast(sentence(error.message));
  }
}

/** For requests that no player has made: a refusal is not shown, and the promise resolves with undefined. */
export const quietly = (sent) => sent.catch(() => undefined);

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
