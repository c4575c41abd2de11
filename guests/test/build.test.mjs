// The errors and warnings that the build shows to an author, and the artifacts that it keeps.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { buildAll } from "../build.mjs";
import { sha256 } from "../build/dist.mjs";
import { mistakesIn } from "../build/syntax.mjs";

const GUESTS = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "build-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Builds one guest, and returns the build's report of it. */
async function built(path, out = join(scratch, "dist")) {
  const reports = [];
  const ok = await buildAll({ names: [path], out, report: (line) => reports.push(line) });
  assert.equal(reports.length, 1);
  assert.equal(reports[0].ok, ok);
  return reports[0];
}

const broken = (name) => join(GUESTS, "fixtures", "broken", name);

/** Each broken fixture, with the places and messages of its mistakes. */
const BROKEN = {
  "syntax.js": [[4, 71, /Expected `\]` but found `;`/]],
  "no-room.js": [[1, 1, /export default class … extends Room/]],
  "not-a-room.js": [[1, 1, /must be a class that extends Room from "chorus"/]],
  "half-contract.js": [[1, 1, /does not match wit\/room\.wit: no export `call`; use instead/]],
  "uses-set-timeout.js": [[6, 7, /no `setTimeout`; use instead: declare it in `timers.*this\.schedule\.after/]],
  "uses-fetch.js": [[12, 21, /no `fetch`; use instead: a room talks to its players/], [13, 20, /no `fetch`/]],
  "uses-node.js": [
    [2, 30, /no Node modules: `node:fs`/], [5, 14, /top-level await/], [8, 42, /no `process`; use instead: options come with onCreate/],
    [8, 60, /no module loader.*`import` at the top/],
  ],
  "top-level-random.js": [[3, 14, /Math\.random\(\) at the top level.*use instead: this\.random/], [4, 17, /new Date\(\) at the top level.*use instead: this\.now\(\)/]],
  "hidden-random.js": [[3, 25, /randomness has no meaning while the component is built.*onCreate/]],
  "hidden-date.js": [[3, 21, /Date has no meaning while the component is built.*onCreate/]],
  "bad-config.js": [[6, 5, /static config has no key "reconectSeconds"; there are: maxPlayers, sessionsPerPlayer, reconnectSeconds/]],
  "missing-import.js": [[2, 22, /there is no file \.\/nowhere\.js/]],
  "second-file": [[4, 3, /no `setTimeout`; use instead/]],
};

for (const [name, mistakes] of Object.entries(BROKEN)) {
  test(`${name}: the mistake is reported with its place and its replacement`, async () => {
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

test("misspelt-hook.js: a method that looks like a hook and is not one is a warning", async () => {
  const { ok, warnings } = await built(broken("misspelt-hook.js"));
  assert.equal(ok, true);
  assert.match(warnings[0], /misspelt-hook\.js:4:3: no hook is called `onjoin`/);
});

test("a missing guest is an error that lists the existing ones", async () => {
  const { errors } = await built("tic-tac-to");
  assert.match(errors[0].message, /no such guest; there are: lobby, tic-tac-toe/);
});

test("a component is kept until its source changes, and named by its digest", async () => {
  const guests = join(scratch, "guests"), out = join(scratch, "kept");
  mkdirSync(join(guests, "one"), { recursive: true });
  const source = (text) => writeFileSync(join(guests, "one", "index.js"), `import { Room } from "chorus";\nexport default class One extends Room { messages = { say: () => "${text}" }; }\n`);
  const build = async () => {
    const reports = [];
    assert.ok(await buildAll({ guests, out, report: (line) => reports.push(line) }));
    return reports[0];
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
  const reports = [];
  assert.equal(await buildAll({ guests, out: join(scratch, "two-dist"), report: (line) => reports.push(line) }), false);
  assert.deepEqual(reports.map(({ kind, ok }) => [kind, ok]).sort(), [["bad", false], ["good", true]]);
});

test("a room's private field cannot be written once the room is made: it would not survive", () => {
  assert.deepEqual(mistakes("class A extends Room { #n = 0; messages = { add: () => { this.#n++; } };\nonJoin() { this.#n = 1; } }"), [
    "1: this.#n is lost when the room is restored", "2: this.#n is lost when the room is restored",
  ]);
  assert.deepEqual(mistakes("class A extends Room { #n = 0; constructor() { super(); this.#n = 1; } #help() { return this.#n; } } class Deck { #n = 0; draw() { this.#n++; } }"), []);
});

/** The messages of a file's mistakes, each with its line. */
function mistakes(code, path = "x.js") {
  return mistakesIn(code, path, path).map(({ line, message }) => `${line}: ${message.split(";")[0]}`);
}

test("a declared name is no mistake", () => {
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
    "if (process.env.NODE_ENV !== 'production') check();",
    "crypto.randomUUID();",
  ]) assert.equal(mistakes(code).join(), "", code);
  assert.deepEqual(mistakes("interface process { fetch: number } let x: process; function f(this: Window, fetch?: string) { return fetch; } enum Worker { A } Worker.A;", "x.ts"), []);
});

test("an undeclared name is the engine's, wherever it is used", () => {
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
    ["crypto.subtle.digest('SHA-1', x);", "1: a room has no `crypto.subtle`"],
    ["process.env.HOME;", "1: a room has no `process`"],
    ["class A { static x = Math.random(); }", "1: Math.random() at the top level runs while the component is built, and is the same in every room"],
    ["import 'fs';", "1: a room has no Node modules: `fs`"],
    ["export * from 'node:path';", "1: a room has no Node modules: `node:path`"],
  ]) assert.deepEqual(mistakes(code), [at], code);
  assert.deepEqual(mistakes("const x = (fetch as any)(1)!;", "x.ts"), ["1: a room has no `fetch`"]);
});

const ROOM = 'import { Room } from "chorus";\nexport default class A extends Room {}\n';
const with_ = (line) => `import { Room } from "chorus";\n${line}\nexport default class A extends Room {}\n`;
/** A guest's files, then the place and message of each of its mistakes. `null` makes a folder. */
const AUTHORS = {
  "an empty file": [{ "index.js": "" }, ["index.js:1:1", /no room: it needs `import \{ Room \}/]],
  "a folder called index.js": [{ "index.js": null }, ["", /index\.js is no file/]],
  "nothing to begin with": [{ "Index.js": ROOM }, ["", /nothing to begin with: it needs index\.js or index\.ts.*; there is Index\.js/]],
  "no UTF-8": [{ "index.js": Buffer.from(`${ROOM}// caf\u00e9\n`, "latin1") }, ["index.js:3:7", /not UTF-8 text.*save the file as UTF-8/]],
  "two defaults": [{ "index.js": `${ROOM}export default class B extends Room {}\n` }, ["index.js:2:8", /multiple default exports/]],
  "no default": [{ "index.js": 'import { Room } from "chorus";\nexport class A extends Room {}\n' }, ["index.js:1:1", /no room/]],
  "an object": [{ "index.js": with_("").replace("export default class A extends Room {}", "class A extends Room {}\nexport default new A();") }, ["index.js:4:1", /the default export is an object; it must be a class/]],
  "no import of Room": [{ "index.js": "export default class A extends Room {}\n" }, ["index.js:1:1", /Room is not defined: it needs `import \{ Room \} from "chorus"`/]],
  "Room as the default import": [{ "index.js": ROOM.replace("{ Room }", "Room") }, ["index.js:1:8", /"chorus" has no default export.*import \{ Room \} from "chorus"/]],
  "an export that is not there": [{ "index.js": with_('import { no } from "./b.js"; no();'), "b.js": "export const b = 1;\n" }, ["index.js:2:10", /b\.js has no export `no`/]],
  "a file of another case": [{ "index.js": with_('import "./Board.js";'), "board.js": "" }, ["index.js:2:8", /there is no file \.\/Board\.js; there is board\.js/]],
  "a style sheet": [{ "index.js": with_('import "./a.css";'), "a.css": "a {}" }, ["index.js:2:8", /nothing that a room can read/]],
  "bad JSON that is imported": [{ "index.js": with_('import "./a.json";'), "a.json": '{\n "a": }' }, ["a.json:2:7", /^not JSON: Unexpected token '}'$/]],
  "a package that is not installed": [{ "index.js": with_('import { Chess } from "chess.js"; Chess;') }, ["index.js:2:23", /"chess\.js" is not installed; run `npm install chess\.js` in .*\/$/]],
  "a scoped one, in a guest with packages": [{ "index.js": with_('import "@a/b/c.js";'), "package.json": "{}" }, ["index.js:2:8", /"@a\/b" is not installed; run `npm install @a\/b` in .*scoped-one-in-a-guest-with-packages\/$/]],
  "a package that needs Node": [
    { "index.js": with_('import "needy";'), "node_modules/needy/index.js": 'import { randomBytes } from "node:crypto"; export { randomBytes };', "node_modules/needy/package.json": '{"type":"module","main":"index.js"}' },
    ["index.js:2:8", /the package "needy" does not work in a room: it imports Node's `node:crypto`.*crypto\.getRandomValues/],
  ],
  "a package that requires Node": [
    { "index.js": with_('import { r } from "needy"; r;'), "node_modules/needy/index.js": 'exports.r = require("fs").readFileSync;' },
    ["index.js:2:19", /the package "needy" does not work in a room: it imports Node's `fs`/],
  ],
  "async hook": [{ "index.js": with_("").replace("{}", "{ async onJoin() {} }") }, ["index.js:3:39", /^onJoin is async: hooks are synchronous; drop `async`/]],
  "async message": [{ "index.js": ROOM.replace("{}", '{\n messages = {\n  "go-on": async () => 1 } }') }, ["index.js:4:3", /^messages\.go-on is async/]],
  "generator timer": [{ "index.js": ROOM.replace("Room {}", "Room {\n timers = {\n  *tick() {} } }") }, ["index.js:4:3", /^timers\.tick is a generator.*drop `\*`/]],
  "async view": [{ "index.js": ROOM.replace("Room {}", "Room {\n async view(s) { return s; } }") }, ["index.js:3:2", /^view is async/]],
  "async migrate": [{ "index.js": ROOM.replace("Room {}", "Room {\n static async migrate(s) { return s; } }") }, ["index.js:3:2", /^static migrate is async/]],
  "a throw of no error": [{ "index.js": with_('throw "words";') }, ["index.js:3:1", /^threw "words" while the component is built$/]],
  "bad package.json": [{ "index.js": ROOM, "package.json": '{\n "main": "index.js",\n}' }, ["package.json:3:1", /^not JSON: .*; mend it, or delete it/]],
  "a main that is not there": [{ "room.js": ROOM, "package.json": '{\n "main": "index.js" }' }, ["package.json:2:2", /`main` is "index\.js", and there is no such file; delete `main`/]],
  "a main that is no text": [{ "room.js": ROOM, "package.json": '{"main": 5}' }, ["package.json:1:2", /`main` is 5/]],
  "too much": [{ "index.js": with_('import { a } from "./a.js"; console.log(a);'), "a.js": `export const a = "${"1234567,".repeat(1_200_000)}";` }, ["index.js", /with all that it imports it has \d+\.\d MiB, and at most 8/]],
};

for (const [what, [files, ...mistakes]] of Object.entries(AUTHORS)) {
  test(`${what}: its place and its remedy`, async () => {
    const folder = write(`${what.replace(/[^a-z]+/gi, "-").toLowerCase()}`, files);
    const { ok, errors } = await built(folder);
    assert.equal(ok, false);
    const places = errors.map(({ file, line, column }) => [file.split(`${basename(folder)}/`)[1] ?? "", line, column].filter(Boolean).join(":"));
    assert.deepEqual(places, mistakes.map(([place]) => place));
    mistakes.forEach(([, words], n) => assert.match(errors[n].message, words));
  });
}

/** Guests that build in spite of files left by a package manager, an editor or a habit. */
const FINE = {
  "a byte order mark": [{ "index.js": `\ufeff${ROOM}`, "package.json": '\ufeff{"main": "index.js"}' }, []],
  "a package of CommonJS by npm init": [{ "index.js": ROOM, "package.json": '{"main": "index.js", "type": "commonjs"}' }, []],
  "a main beside an index": [{ "index.ts": ROOM, "board.js": "export const n = 1;", "package.json": '{\n "main": "board.js"}' }, [/package\.json:2:2: `main` is "board\.js" and not used: a guest begins with its index\.ts/]],
  "a main that is the only one": [{ "lib/room.js": ROOM, "package.json": '{"main": "lib/room"}' }, []],
  "two of them": [{ "index.ts": ROOM, "index.js": ROOM }, [/index\.ts: not used: index\.js comes first/]],
  "files that import each other": [{ "index.js": with_('import { b } from "./b.js"; export const a = () => b;'), "b.js": 'import { a } from "./index.js"; export const b = () => a;' }, []],
  "imported JSON": [{ "index.js": with_('import { a } from "./a.json"; import b from "./a.json" with { type: "json" }; a + b;'), "a.json": '\ufeff{"a":1}' }, []],
  "a package that can do without Node": [{ "index.js": with_('import { r } from "able"; r;'), "node_modules/able/index.js": 'let c; try { c = require("crypto"); } catch { c = 0; }\nexports.r = c;' }, []],
};

for (const [what, [files, warnings]] of Object.entries(FINE)) {
  test(`${what} is fine`, async () => {
    const { ok, error, warnings: reports } = await built(write(what.replace(/[^a-z]+/gi, "-").toLowerCase(), files));
    assert.ok(ok, JSON.stringify(error));
    assert.equal(reports.length, warnings.length, reports.join());
    warnings.forEach((words, n) => assert.match(reports[n], words));
  });
}

test("a file or folder that cannot be a guest is reported, and no link or empty folder stops the build", async () => {
  const guests = write("odd", { "test/index.js": ROOM, "My_Room/index.js": ROOM, "buzzer.js": ROOM, "helper.js": "export const n = 1;", "empty": null });
  symlinkSync("loop", join(guests, "loop"));
  symlinkSync("nowhere", join(guests, "dangling"));
  const reports = [];
  assert.equal(await buildAll({ guests, out: join(scratch, "odd-dist"), report: (line) => reports.push(line) }), false);
  const messages = Object.fromEntries(reports.map(({ kind, error }) => [kind, error.message]));
  assert.deepEqual(Object.keys(messages).sort(), ["My_Room", "buzzer", "test"]);
  assert.match(messages.test, /a guest cannot be called "test".*rename the folder/);
  assert.match(messages.My_Room, /"My_Room" cannot be a kind: use 1 to 48 of a-z/);
  assert.match(messages.buzzer, /a guest is a folder: move this file to guests\/buzzer\/index\.js/);
});

test("a component has the paths of its sources, and no path of the machine", async () => {
  const { file } = await built(write("mapped", { "index.js": with_('import { n } from "./deep/n.js"; n();'), "deep/n.js": "export const n = () => 1;\n" }));
  const [component] = readdirSync(join(scratch, "dist")).filter((name) => name === file).map((name) => readFileSync(join(scratch, "dist", name)));
  const at = component.lastIndexOf("chorus:source-map") + "chorus:source-map".length;
  const { version, sources } = JSON.parse(component.subarray(at).toString());
  assert.equal(version, 3);
  assert.deepEqual(sources.filter((source) => !source.startsWith("sdk/")), ["mapped/deep/n.js", "mapped/index.js"]);
  assert.ok(!component.includes(scratch) && !component.includes(GUESTS));
});

test("a component does not depend on the folder that it is built in", async () => {
  const digestIn = async (folder) => (await built(write(`${folder}/same`, { "index.js": ROOM, "other.js": "" }), join(scratch, "dist", folder))).digest;
  assert.equal(await digestIn("near"), await digestIn("far/away/from/there"));
});

function write(name, files) {
  const folder = join(scratch, "authors", name);
  mkdirSync(folder, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(text === null ? join(folder, path) : dirname(join(folder, path)), { recursive: true });
    if (text !== null) writeFileSync(join(folder, path), text);
  }
  return folder;
}
