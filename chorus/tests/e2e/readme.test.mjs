/** The README's room and its client, built and run unchanged, by the README's steps. Not for a cluster. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { guestsWith } from "../guests.mjs";
import { Server } from "../server.mjs";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const DEADLINE_MS = 60_000;

test("two players run the README's client, and play in its room", { timeout: 6 * DEADLINE_MS }, async () => {
  const readme = await readFile(join(REPOSITORY, "README.md"), "utf8");
  const [room, client] = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
  const folder = await mkdtemp(join(tmpdir(), "chorus-readme-"));
  const pages = [];
  let server;
  try {
    const guests = await guestsWith(folder, { buzzer: room });
    server = await Server.start({ data: join(folder, "data"), args: ["--guests", guests] });
    const script = await runnable(client, server.url, folder);
    pages.push(new Page(script), new Page(script));
    // A page that joins after the buzz sees the following round.
    for (const page of pages) await page.prints(/^buzzer \{\s+open: (false|true),\s+scores: \[ \[ 'g:[0-9a-f]{32}'/m);
    const refused = pages.filter(({ output }) => output.includes("too late"));
    assert.ok(refused.length <= 1, "one of them was first");
  } finally {
    pages.forEach((page) => page.close());
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

/** The client as a page of this server would run it: an uncaught error (`too late`) does not end a page. */
async function runnable(client, url, folder) {
  const page = client.replace('"/chorus.js"', JSON.stringify(pathToFileURL(join(REPOSITORY, "clients/js/chorus.js")).href));
  const script = join(folder, "page.mjs");
  const sockets = pathToFileURL(join(REPOSITORY, "chorus/tests/node_modules/ws/wrapper.mjs")).href;
  await writeFile(join(folder, "browser.mjs"), `import { WebSocket } from ${JSON.stringify(sockets)};\nglobalThis.WebSocket ??= WebSocket;\nglobalThis.location = { href: ${JSON.stringify(`${url}/`)} };\nprocess.on("uncaughtException", (error) => console.error(error));\n`);
  await writeFile(script, `import "./browser.mjs";\n${page}`);
  return script;
}

class Page {
  output = "";
  #process;
  #changed = () => {};

  constructor(script) {
    this.#process = spawn(process.execPath, [script]);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.on("data", (text) => {
        this.output += text;
        this.#changed();
      });
    }
  }

  async prints(words) {
    const late = setTimeout(() => this.#changed(new Error(`it did not print ${words}: ${this.output}`)), DEADLINE_MS);
    try {
      while (!words.test(this.output)) {
        await new Promise((resolve, reject) => { this.#changed = (error) => (error ? reject(error) : resolve()); });
      }
    } finally {
      clearTimeout(late);
    }
  }

  close() {
    this.#process.kill("SIGKILL");
  }
}
