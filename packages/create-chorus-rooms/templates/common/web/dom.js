// Small helpers for drawing. All text is set as text: what other players write is never read as HTML.

/**
 * The element of this id.
 * @template {HTMLElement} [E=HTMLElement] @param {string} id @returns {E}
 */
export function $(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return /** @type {E} */ (found);
}

/** A new element. @param {string} tag @param {string} [className] @param {string} [text] @returns {HTMLElement} */
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Sets a text if it is another one: a screen reader reads a live region again at each change. @param {HTMLElement} at @param {string} text */
export function setText(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

/**
 * Keeps one child for each item, by its key, so that focus and animations stay where they are.
 * @template Item @template {HTMLElement} Child
 * @param {HTMLElement} parent @param {readonly Item[]} items
 * @param {(item: Item, index: number) => string | number} keyOf @param {(item: Item, index: number) => Child} make @param {(child: Child, item: Item, index: number) => void} draw
 */
export function each(parent, items, keyOf, make, draw) {
  const before = new Map([...parent.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.key, /** @type {Child} */ (child)]));
  items.forEach((item, index) => {
    const key = String(keyOf(item, index));
    const child = before.get(key) ?? make(item, index);
    before.delete(key);
    child.dataset.key = key;
    draw(child, item, index);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  for (const child of before.values()) child.remove();
}
