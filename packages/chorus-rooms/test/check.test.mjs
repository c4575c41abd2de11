// `check`: what is wrong with a component is found, one fault at a time.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";

import { check } from "../src/check.mjs";
import { Component, NotRunnable } from "../src/component.mjs";
import { componentOf } from "../src/project.mjs";
import { chorus, project, roomOf, write } from "./project.mjs";

const ROOM = roomOf("state = { n: 0 }; messages = { add: () => ++this.state.n, throws: () => { throw new Error('no'); }, spin: () => { for (;;); } }; timers = { t() {} }; onJoin() { this.schedule.after(100, 't'); }");
const component = await componentOf(pathToFileURL(join(project({ "rooms/plain/index.js": ROOM }), "rooms/plain")));

/** The component, with other answers in the instances that `which` selects by their number. */
function tampered(which, change) {
  let made = 0;
  const wrap = (calls) => {
    const number = made++;
    if (!which(number)) return calls;
    const { handle } = calls;
    calls.handle = (...given) => change(handle(...given), calls, given);
    return calls;
  };
  const fresh = component.freshInstance.bind(component);
  return Object.assign(Object.create(component), {
    bytes: component.bytes, manifest: component.manifest, config: component.config, kind: component.kind,
    instance: () => wrap(fresh()), freshInstance: () => wrap(fresh()), release() {}, changes: (effects) => component.changes(effects), readable: (text) => component.readable(text), memoryOf: () => 0,
  });
}

test("a component of the build passes, and its throws are no fault", () => {
  const { wrong, records } = check(component);
  assert.deepEqual(wrong, []);
  assert.ok(records > 100, `${records} records`);
});

test("an answer that is another one in another instance is found", () => {
  const other = tampered((n) => n > 0 && n % 3 === 0, (outcome) => (outcome.done ? { done: [...outcome.done, ["lock"]] } : outcome));
  const { wrong: [first] } = check(other);
  assert.match(first, /does not do the same/);
});

test("work that differs is found, though its result is the same", () => {
  let n = 0;
  const other = tampered(() => true, (outcome, calls) => { calls.used += n++; return outcome; });
  assert.match(check(other).wrong[0], /two instances used \d+ and \d+ polls for the same/);
});

test("another world is found", () => {
  const bytes = Buffer.from(component.bytes);
  bytes[bytes.indexOf("safepoint")] = "S".charCodeAt(0);
  const [first] = check(Object.assign(Object.create(component), { bytes, manifest: component.manifest })).wrong;
  assert.match(first, /no component of the world metered-room in chorus:room@3\.0\.0/);
  assert.throws(() => new Component(Buffer.from("no")), NotRunnable);
  assert.throws(() => new Component(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), /no WebAssembly component/);
  assert.throws(() => new Component(Buffer.from([0, 0x61, 0x73, 0x6d, 13, 0, 1, 0])), /no core module/);
  assert.throws(() => new Component(component.bytes.subarray(0, component.bytes.length >> 1)), /its core module is damaged/);
  assert.throws(() => new Component(Buffer.from([0, 0x61, 0x73, 0x6d, 13, 0, 1, 0, 1, 8, 0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), /not made by the SDK \(it has no memory\): only a server runs it/);
});

for (const [what, change, words] of [
  ["a name too long", { messages: ["x".repeat(65)] }, /has not 1 to 64 bytes/],
  ["a name twice", { timers: ["a", "a"] }, /occurs twice in timers/],
  ["too many names", { messages: Array.from({ length: 257 }, (_, i) => `m${i}`) }, /257 messages; at most 256/],
  ["a config that is no object", { config: "[]" }, /no JSON object/],
  ["an unknown key", { config: '{"maxPlayer":1}' }, /no key "maxPlayer"/],
  ["a value beyond its cap", { config: '{"maxPlayers":20001}' }, /maxPlayers is 20001; it may be 0 to 20000/],
  ["a budget beyond its cap", { config: '{"budget":{"memoryMiB":512}}' }, /budget\.memoryMiB is 512; it may be 1 to 256/],
  ["a version of the state", { stateVersion: -1 }, /the version of the state is -1/],
]) {
  test(`a manifest with ${what} is found`, () => {
    const manifest = { ...component.manifest, ...change };
    assert.match(check(Object.assign(Object.create(component), { bytes: component.bytes, manifest })).wrong.join("\n"), words);
  });
}

test("the command names the rooms, and what is wrong with them", () => {
  const folder = project({ "rooms/good/index.js": ROOM });
  assert.deepEqual([chorus(folder, "check").status, chorus(folder, "check").stdout.replace(/\d+ records/, "N records")], [0, "good: ok, N records\n"]);
  write(folder, { "rooms/bad/index.js": roomOf("messages = {\n go: () => { seen++; } };", "let seen = 0;") });
  const { status, output } = chorus(folder, "check");
  assert.equal(status, 1);
  assert.match(output, /bad: 1 thing is wrong\n  messages\.go: `seen` is changed by this call[^]*rooms\/bad\/index\.js:5:/);
  const file = readdirSync(join(folder, "rooms/dist")).find((name) => name.startsWith("good"));
  assert.match(chorus(folder, "check", `rooms/dist/${file}`).stdout, /^good-[0-9a-f]{12}: ok, \d+ records\n$/);
  const json = chorus(folder, "check", "--json", "good");
  assert.deepEqual([json.status, JSON.parse(json.stdout).ok], [0, true]);
  write(folder, { "rooms/bad/index.js": "let" });
  assert.match(chorus(folder, "check", "bad").output, /bad: 1 thing is wrong\n  it does not build: rooms\/bad\/index\.js:1:/);
  assert.deepEqual([chorus(folder, "check", "no.wasm").status, chorus(folder, "check", "--runs", "x").status], [2, 2]);
});
