// What the engine is made of, and the build of a guest by it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ENGINE, componentOf, engine } from "../../guests/build/engine.mjs";
import { ANA, built, roomOf } from "./room.mjs";

test("the committed engine is that of its digest, and imports the safepoint alone", () => {
  if (process.env.CHORUS_ENGINE !== undefined) return;
  const digest = createHash("sha256").update(readFileSync(ENGINE)).digest("hex");
  assert.equal(digest, readFileSync(new URL("../engine.sha256", import.meta.url), "utf8").trim());
  const imports = WebAssembly.Module.imports(engine().compiled).map(({ module, name }) => [module, name]);
  assert.deepEqual(imports, [["chorus:room/meter@3.0.0", "safepoint"]]);
});

test("the same source gives the same component", async () => {
  const script = "native.serve({ stateVersion: 1, config: '{}', timers: [], messages: [], handlers: [] });";
  assert.deepEqual(componentOf(script), componentOf(script));
  const body = "state = { a: [1, 'é'], m: null }; messages = { go: () => new Map(KEPT).size };", top = "const KEPT = [['a', 1]]; const word = /x/g;";
  const digest = async () => createHash("sha256").update((await built(body, top)).memory).digest("hex");
  assert.equal(await digest(), await digest());
});

test("an error at the top level is the build's", async () => {
  await assert.rejects(built("", "throw new TypeError('at the top');"), /TypeError: at the top/);
  await assert.rejects(built("messages = { go: 1 };"), /messages\.go must be a function/);
});

test("a script has neither the engine's functions nor a clock while it is built", async () => {
  const room = await roomOf("messages = { native: () => [typeof native, Object.getOwnPropertyNames(globalThis).includes('native')], built: () => AT };", "const AT = typeof native;");
  assert.deepEqual(room.ask("native"), ["undefined", false]);
  assert.equal(room.ask("built"), "undefined");
});

test("the clock is the record's, in UTC", async () => {
  const room = await roomOf("messages = { now: () => [Date.now() === this.now(), new Date().getTime() === this.now(), performance.now() === this.now(), new Date(0).getTimezoneOffset(), new Date(2024, 6, 1).toISOString(), `${new Date(0)}`] };");
  assert.deepEqual(room.ask("now"), [true, true, true, 0, "2024-07-01T00:00:00.000Z", "Thu Jan 01 1970 00:00:00 GMT+0000"]);
});

test("a refusal, a throw and an event that nobody has", async () => {
  const room = await roomOf("state = { n: 0 }; messages = { no: () => { this.state.n = 5; this.refuse('not now'); }, oops: () => { this.state.n = 5; this.log.info('seen'); throw new RangeError('oops'); } };");
  assert.equal(room.handle("message", ANA, "no", "null"), "refuse\x1fnot now");
  assert.match(room.handle("message", ANA, "oops", "null"), /^!RangeError: oops\n {4}at oops \(script:\d+:\d+\)[^]*\x1elog\x1finfo\x1fseen$/);
  assert.match(room.handle("message", "f".repeat(32), "no", "null"), /^!Error: session f+ is not in this room/);
  assert.match(room.handle("message", ANA, "nope", "null"), /^!Error: no handler for messages of type "nope"/);
  assert.match(room.handle(0x20), /^!Error: an event, 0x20, that this SDK does not have/);
});

test("strange texts from the host", async () => {
  const room = await roomOf("messages = { echo: (_player, data) => data };");
  for (const text of ["", "\0", "null\0", "\"\ud83d\ude00é\u2028\"", `[${"1,".repeat(100_000)}1]`, "[".repeat(500), "{\"__proto__\":null}", "\ufeff1", " 1 "]) {
    const answer = room.handle("message", ANA, "echo", text);
    let wanted;
    try { wanted = `reply\x1f${JSON.stringify(JSON.parse(text))}`; } catch { wanted = undefined; }
    if (wanted === undefined) assert.match(answer, /^!SyntaxError/);
    else assert.equal(answer, wanted);
  }
});
