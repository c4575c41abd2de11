// What the build tells an author, and what it keeps.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { buildAll } from "../build.mjs";
import { sha256 } from "../build/dist.mjs";
import { mistakesIn } from "../build/syntax.mjs";

const GUESTS = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "build-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Builds one guest, and returns what is told of it. */
async function built(path, out = join(scratch, "dist")) {
  const told = [];
  const ok = await buildAll({ names: [path], out, tell: (line) => told.push(line) });
  assert.equal(told.length, 1);
  assert.equal(told[0].ok, ok);
  return told[0];
}

const broken = (name) => join(GUESTS, "fixtures", "broken", name);

/** Each broken fixture, where its mistakes are, and what is said of them. */
const BROKEN = {
  "syntax.js": [[4, 71, /Expected `\]` but found `;`/]],
  "no-room.js": [[1, 1, /export default class … extends Room/]],
  "not-a-room.js": [[1, 1, /must be a class that extends Room from "chorus"/]],
  "half-contract.js": [[1, 1, /does not match wit\/room\.wit: no export `open`, `save`; use instead/]],
  "uses-set-timeout.js": [[6, 7, /no `setTimeout`; use instead: declare it in `timers.*this\.schedule\.after/]],
  "uses-fetch.js": [[12, 21, /no `fetch`; use instead: a room talks to its players/], [13, 20, /no `fetch`/]],
  "uses-node.js": [
    [2, 30, /no Node modules: `node:fs`/], [5, 14, /top-level await/], [8, 42, /no `process`; use instead: options come with onCreate/],
    [8, 60, /no module loader.*`import` at the top/],
  ],
  "top-level-random.js": [[3, 14, /Math\.random\(\) at the top level.*use instead: this\.random/], [4, 17, /new Date\(\) at the top level.*use instead: this\.now\(\)/]],
  "hidden-random.js": [[3, 25, /randomness has no meaning while the component is built.*onCreate/]],
  "hidden-date.js": [[3, 21, /Date has no meaning while the component is built.*onCreate/]],
  "bad-config.js": [[6, 5, /static config has no key "reconectSeconds"; there are: maxPlayers, reconnectSeconds/]],
  "missing-import.js": [[2, 22, /Could not resolve '\.\/nowhere\.js'/]],
  "second-file": [[4, 3, /no `setTimeout`; use instead/]],
};

for (const [name, mistakes] of Object.entries(BROKEN)) {
  test(`${name}: the mistake is named with its place and what to use instead`, async () => {
    const { ok, errors } = await built(broken(name));
    assert.equal(ok, false);
    const file = name === "second-file" ? "later.ts" : name;
    assert.deepEqual(errors.map(({ file, line, column }) => [basename(file), line, column]), mistakes.map(([line, column]) => [file, line, column]));
    mistakes.forEach(([, , words], n) => assert.match(errors[n].message, words));
  });
}

test("every broken fixture has its test", () => {
  assert.deepEqual(readdirSync(join(GUESTS, "fixtures", "broken")).sort(), [...Object.keys(BROKEN), "misspelt-hook.js"].sort());
});

test("misspelt-hook.js: a method that looks like a hook and is none is a warning", async () => {
  const { ok, warnings } = await built(broken("misspelt-hook.js"));
  assert.equal(ok, true);
  assert.match(warnings[0], /misspelt-hook\.js:4:3: no hook is called `onjoin`/);
});

test("a guest that is not there is an error that lists those that are", async () => {
  const { errors } = await built("tic-tac-to");
  assert.match(errors[0].message, /no such guest; there are: lobby, tic-tac-toe/);
});

test("a component is kept until its source changes, and is named by its bytes", async () => {
  const guests = join(scratch, "guests"), out = join(scratch, "kept");
  mkdirSync(join(guests, "one"), { recursive: true });
  const source = (text) => writeFileSync(join(guests, "one", "index.js"), `import { Room } from "chorus";\nexport default class One extends Room { messages = { say: () => "${text}" }; }\n`);
  const build = async () => {
    const told = [];
    assert.ok(await buildAll({ guests, out, tell: (line) => told.push(line) }));
    return told[0];
  };
  source("a");
  const first = await build();
  const again = await build();
  assert.deepEqual([first.kept, again.kept, again.digest], [false, true, first.digest]);
  source("b");
  const changed = await build();
  assert.equal(changed.kept, false);
  const bytes = readFileSync(join(out, changed.file));
  assert.equal(sha256(bytes), changed.digest);
  assert.equal(changed.file, `one-${changed.digest.slice(0, 12)}.wasm`);
  const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"));
  assert.deepEqual([Object.keys(manifest), manifest.one.digest, manifest.one.bytes], [["one"], changed.digest, bytes.length]);
});

test("one broken guest does not keep the others from being built", async () => {
  const guests = join(scratch, "two");
  mkdirSync(join(guests, "good"), { recursive: true });
  mkdirSync(join(guests, "bad"));
  cpSync(join(GUESTS, "fixtures", "echo.js"), join(guests, "good", "index.js"));
  cpSync(broken("syntax.js"), join(guests, "bad", "index.js"));
  const told = [];
  assert.equal(await buildAll({ guests, out: join(scratch, "two-dist"), tell: (line) => told.push(line) }), false);
  assert.deepEqual(told.map(({ kind, ok }) => [kind, ok]).sort(), [["bad", false], ["good", true]]);
});

test("a room's private field cannot be written once the room is made: it would not survive", () => {
  assert.deepEqual(mistakes("class A extends Room { #n = 0; messages = { add: () => { this.#n++; } };\nonJoin() { this.#n = 1; } }"), [
    "1: this.#n is lost when the room is restored", "2: this.#n is lost when the room is restored",
  ]);
  assert.deepEqual(mistakes("class A extends Room { #n = 0; constructor() { super(); this.#n = 1; } #help() { return this.#n; } } class Deck { #n = 0; draw() { this.#n++; } }"), []);
});

/** Messages of a file's mistakes, by line. */
function mistakes(code, path = "x.js") {
  return mistakesIn(code, path, path).map(({ line, message }) => `${line}: ${message.split(";")[0]}`);
}

test("a name of one's own is no mistake", () => {
  for (const code of [
    "function f(fetch) { return fetch(1); }",
    "import { fetch } from './mine.js'; fetch(1);",
    "const { process } = table; process.run();",
    "const [require, ...Intl] = [1]; Intl(require);",
    "class process {} new process();",
    "try {} catch (fetch) { fetch(); }",
    "for (const fetch of []) fetch();",
    "{ let fetch; fetch; }",
    "if (1) { var fetch; } fetch();",
    "const o = { fetch: 1, setTimeout() {} }; o.fetch; o?.setTimeout(); ({ fetch: 2 });",
    "class A { fetch() {} process = 1; #setTimeout() {} }",
    "if (typeof process !== 'undefined') {}",
    "fetch: for (;;) break fetch;",
    "export { a as process }; const a = 1;",
    "const later = () => [Math.random(), Date.now(), new Date()];",
    "const Math = { random: () => 4 }; Math.random();",
    "new Date(2020, 1, 1);",
  ]) assert.equal(mistakes(code).join(), "", code);
  assert.deepEqual(mistakes("interface process { fetch: number } let x: process; function f(this: Window, fetch?: string) { return fetch; } enum Worker { A } Worker.A;", "x.ts"), []);
});

test("a name that nobody declared is the engine's, wherever it is used", () => {
  for (const [code, at] of [
    ["function f() { return fetch(1); }", "1: a room has no `fetch`"],
    ["const o = { fetch };", "1: a room has no `fetch`"],
    ["function f(a = fetch) {}", "1: a room has no `fetch`"],
    ["{ let fetch; }\nfetch();", "2: a room has no `fetch`"],
    ["globalThis.setTimeout(1);", "1: a room has no `setTimeout`"],
    ["globalThis['fetch'](1);", "1: a room has no `fetch`"],
    ["class A { x = localStorage.y; }", "1: a room has no `localStorage`"],
    ["x[process.env];", "1: a room has no `process`"],
    ["new WeakRef({});", "1: a room has no `WeakRef`"],
    ["`${crypto.randomUUID()}`;", "1: a room has no `crypto`"],
    ["class A { static x = Math.random(); }", "1: Math.random() at the top level runs while the component is built, and is the same in every room"],
    ["import 'fs';", "1: a room has no Node modules: `fs`"],
    ["export * from 'node:path';", "1: a room has no Node modules: `node:path`"],
  ]) assert.deepEqual(mistakes(code), [at], code);
  assert.deepEqual(mistakes("const x = (fetch as any)(1)!;", "x.ts"), ["1: a room has no `fetch`"]);
});
