/**
 * A JSON value as a tree that can be opened, and that is drawn again whenever the value changes. What is open stays open, and
 * values that have changed are marked for a moment. Only what is open is drawn.
 */

import { h } from "./dom.js";

/** Members of one object or list that are drawn. */
const CHILDREN = 100;
/** Values of a smaller text are open from the beginning. */
const SHORT = 600;
/** Lists of a smaller text that have no object or list are one line. */
const LINE = 80;

export class Tree {
  #root;
  #old;
  /** What was opened or closed by hand, by path. */
  #open = new Map();

  constructor(root) {
    this.#root = root;
  }

  draw(value) {
    const isFirst = this.#old === undefined;
    this.#root.replaceChildren(this.#node(null, value, "", isFirst ? undefined : this.#old, 0));
    this.#old = value;
  }

  #node(name, value, path, old, depth) {
    const label = name === null ? null : h("span", { class: "key" }, name);
    if (value === null || typeof value !== "object") return this.#leaf(label, value, old);
    if (Number.isFinite(value.$bytes)) return h("div", { class: "leaf" }, label, h("i", {}, `${value.$bytes} bytes, too large to be shown`));
    const names = Object.keys(value);
    if (names.length === 0) return h("div", { class: "leaf" }, label, h("span", { class: "value" }, Array.isArray(value) ? "[]" : "{}"));
    const text = depth === 0 ? "" : JSON.stringify(value);
    if (Array.isArray(value) && depth > 0 && text.length < LINE && value.every(isPlain)) return this.#line(label, value, old);
    // The whole value has no line of its own, and is always open.
    if (depth === 0) return h("div", { class: "children" }, ...this.#children(names, value, path, old, depth));
    const isOpen = this.#open.get(path) ?? text.length < SHORT;
    const summary = h("summary", {}, label, h("span", { class: "size" }, sizeOf(value, names)));
    const node = h("details", { class: "branch", "data-path": path }, summary);
    const fill = () => node.append(h("div", { class: "children" }, ...this.#children(names, value, path, old, depth)));
    if (isOpen) fill();
    node.open = isOpen;
    // The click, not `toggle`, which is also an event of a node that is drawn open.
    summary.addEventListener("click", () => {
      this.#open.set(path, !node.open);
      if (!node.open && node.children.length === 1) fill();
    });
    return node;
  }

  #children(names, value, path, old, depth) {
    const children = names.slice(0, CHILDREN).map((child) => this.#node(child, value[child], `${path}/${child}`, old?.[child], depth + 1));
    if (names.length > CHILDREN) children.push(h("div", { class: "leaf" }, h("i", {}, `and ${names.length - CHILDREN} more`)));
    return children;
  }

  #leaf(label, value, old) {
    return h("div", { class: "leaf" }, label, scalar(value, old));
  }

  #line(label, values, old) {
    const parts = values.flatMap((value, at) => (at === 0 ? [scalar(value, old?.[at])] : [", ", scalar(value, old?.[at])]));
    return h("div", { class: "leaf" }, label, "[", ...parts, "]");
  }
}

const isPlain = (value) => value === null || typeof value !== "object";

function scalar(value, old) {
  const changed = old !== undefined && old !== value;
  const kind = value === null ? "null" : typeof value;
  return h("span", { class: `value ${kind}${changed ? " changed" : ""}` }, JSON.stringify(value));
}

function sizeOf(value, names) {
  if (Array.isArray(value)) return `[ ${names.length} ]`;
  return `{ ${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""} }`;
}
