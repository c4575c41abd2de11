// The templates' helper that draws lists, with as much of an element as it uses.

import assert from "node:assert/strict";
import { test } from "node:test";

import { each } from "../templates/common/web/dom.js";

class List {
  children = [];

  insertBefore(child, before) {
    this.children = this.children.filter((one) => one !== child);
    this.children.splice(before === null ? this.children.length : this.children.indexOf(before), 0, child);
    child.remove = () => { this.children = this.children.filter((one) => one !== child); };
  }
}

test("a child is made with its item and index, kept by its key, drawn each time, and removed with its item", () => {
  const list = new List(), made = [];
  const make = (item, index) => (made.push([item, index]), { dataset: {} });
  const draw = (child, item, index) => { child.text = `${"ABCD"[index]} ${item}`; };
  each(list, ["red", "green"], (item) => item, make, draw);
  const [, green] = list.children;
  each(list, ["green", "blue"], (item) => item, make, draw);
  assert.deepEqual(made, [["red", 0], ["green", 1], ["blue", 1]]);
  assert.equal(list.children[0], green);
  assert.deepEqual(list.children.map(({ text }) => text), ["A green", "B blue"]);
});
