// The types of the harness, of the rooms of these tests, and of the programs of the pages are right.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { filesOf } from "../../create-chorus-rooms/src/create.mjs";
import { filesIn } from "./pages.mjs";
import { chorus, project } from "./project.mjs";

const TSC = fileURLToPath(new URL("../../../guests/node_modules/typescript/bin/tsc", import.meta.url));

for (const [what, project] of [
  ["the types of the harness take what is right and refuse what is not", "tsconfig.json"],
  ["the rooms are right by strict types", "rooms/tsconfig.json"],
]) {
  test(what, () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [TSC, "--project", fileURLToPath(new URL(project, import.meta.url))], { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  });
}

const CLIENT = fileURLToPath(new URL("../../../clients/js", import.meta.url));
const SDK = fileURLToPath(new URL("../../../guests/sdk/chorus.d.ts", import.meta.url));
const COMPILER = { strict: true, noEmit: true, allowJs: true, checkJs: true, target: "es2024", module: "esnext", moduleResolution: "bundler", jsx: "react-jsx", types: [] };

/** What the compiler prints of these files of pages, as the rooms, the page and the tests of a project: they have other globals. */
function compiledFiles(files, options = {}) {
  const compilerOptions = { ...COMPILER, ...options };
  const folder = project({
    ...files,
    "tsconfig.json": JSON.stringify({ compilerOptions: { ...compilerOptions, lib: ["es2024"] }, include: [SDK, "rooms/**/*", "shared/*"] }),
    "test/tsconfig.json": JSON.stringify({ compilerOptions: { ...compilerOptions, lib: ["es2024", "dom"] }, include: ["*"] }),
    "test/node.d.ts": 'declare module "node:test"; declare module "node:assert/strict";',      // @types/node is not installed here
    "web/tsconfig.json": JSON.stringify({ compilerOptions: { ...compilerOptions, lib: ["es2024", "dom"] }, include: ["*", "../shared/*"] }),
  });
  symlinkSync(CLIENT, join(folder, "node_modules/chorus-client"));
  symlinkSync(join(CLIENT, "node_modules/@types"), join(folder, "node_modules/@types"));
  const runs = [".", "web", "test"].map((at) => spawnSync(process.execPath, [TSC, "--project", at], { cwd: folder, encoding: "utf8" }));
  return { folder, output: runs.map(({ stdout, stderr }) => stdout + stderr).join("") };
}

/** A project of the programs that share a declaration, changed by `change`. */
function compiled(change = (path, code) => code) {
  const files = { ...filesIn("docs/scripting.md"), ...filesIn("clients/js/README.md") };
  return { files, ...compiledFiles(Object.fromEntries(Object.entries(files).map(([path, code]) => [path, change(path, code)]))) };
}

test("the programs that share a declaration have its types, and the room is built and played", () => {
  const { folder, files, output } = compiled();
  assert.deepEqual(Object.keys(files), ["shared/duel.ts", "rooms/duel/index.ts", "web/duel.ts", "rooms/plain/index.js", "test/duel.test.js", "web/app.tsx"]);
  assert.equal(output, "");
  // The other room has handlers for types alone.
  rmSync(join(folder, "rooms/plain"), { recursive: true });
  const tests = chorus(folder, "test", "--runs", "20");
  assert.equal(tests.status, 0, tests.output);
  const check = chorus(folder, "check", "duel", "--options", '{"width":9}');
  assert.equal(check.status, 0, check.output);
});

test("a declaration that changes is an error in the room, in its clients and in its tests, which names what is there", () => {
  const { output } = compiled((path, code) => (path === "shared/duel.ts" ? code.replace("struck:", "hit:").replace("{ at: number }):", "{ place: number }):") : code));
  for (const file of ["rooms/duel/index.ts", "rooms/plain/index.js", "web/duel.ts", "web/app.tsx", "test/duel.test.js"]) assert.match(output, new RegExp(`^${file.replaceAll(".", "\\.")}\\(`, "m"));
  assert.match(output, /Argument of type '"struck"' is not assignable to parameter of type '"hit" \| "over"'/);
  assert.match(output, /Property 'at' does not exist on type '\{ place: number; \}'/);
});

test("the typed rooms of the other pages, and what uses them, are right", () => {
  const { "rooms/quiz/index.js": _, "test/quiz.test.js": __, ...author } = filesIn("docs/author.md");
  assert.deepEqual(Object.keys(author), ["shared/score.ts", "rooms/score/index.ts", "web/score.ts"]);
  assert.equal(compiledFiles(author).output, "");
  const { "shared/turns.ts": shared, "rooms/turns/index.js": turns } = filesIn("docs/cookbook.md");
  // The room is JavaScript, with types for what is declared and none for the parameters of hooks.
  const typed = (room) => compiledFiles({ "shared/turns.ts": shared, "rooms/turns/index.js": room, "web/page.js": "" }, { noImplicitAny: false }).output;
  assert.equal(typed(turns), "");
  assert.match(typed(turns.replace("data.value < 1", "data.valeu < 1")), /^rooms\/turns\/index\.js\(\d+,\d+\): error TS2551: Property 'valeu'/);
});

test("the page in React has the types of the template that it begins with", () => {
  const files = filesIn("docs/react.md");
  assert.deepEqual(Object.keys(files), ["vite.config.ts", "web/tsconfig.json", "web/index.html", "web/main.tsx"]);
  assert.deepEqual(JSON.parse(files["web/tsconfig.json"]).compilerOptions.jsx, COMPILER.jsx);
  const template = Object.fromEntries(Object.entries(filesOf("my-game", "empty")).filter(([path]) => !/^(web|test)\//.test(path)));
  // Vite, its plug-in and React's renderer are not installed here.
  const renderer = 'declare module "react-dom/client" { export function createRoot(at: Element): { render(page: unknown): void } }';
  const compile = (page) => compiledFiles({ ...template, "web/main.tsx": page, "web/renderer.d.ts": renderer }, { allowImportingTsExtensions: true }).output;
  assert.equal(compile(files["web/main.tsx"]), "");
  assert.match(compile(files["web/main.tsx"].replace("{ by })", "{ by: 2 })")), /^web\/main\.tsx\(/m);
});
