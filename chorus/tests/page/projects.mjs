/** Projects made from templates, each served by its own `chorus dev`. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createProject } from "../../../packages/create-chorus-rooms/src/create.mjs";
import { installedIn } from "../../../packages/create-chorus-rooms/test/installed.mjs";
import { ROOMY } from "../limits.mjs";
import { Process } from "../process.mjs";
import { START_MS } from "../server.mjs";

const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/;
const STOP_MS = 20_000;

export class ProjectServer {
  #process;

  /** Creates the project and serves it. `edit`: by path, what its author changes first: `[text, other text]`. `prepare`: other work of its author. */
  static async start(template, edit = {}, prepare = () => {}) {
    const server = new ProjectServer();
    server.scratch = await mkdtemp(join(tmpdir(), "chorus-template-"));
    server.folder = join(server.scratch, `my-${template}`);
    createProject(server.folder, template);
    installedIn(server.folder);
    for (const [path, changes] of Object.entries(edit)) await server.#edit(path, changes);
    await prepare(server.folder);
    const { CHORUS_BIN: bin } = process.env;
    if (!bin) throw new Error("CHORUS_BIN must name the chorus binary");
    // A port of its own, so that the page finds the server again after a kill.
    server.#process = (port) => new Process(bin, ["dev", "--port", String(port)], { cwd: server.folder, env: { ...ROOMY, ...process.env } });
    await server.#run(0);
    return server;
  }

  async #edit(path, changes) {
    let text = await readFile(join(this.folder, path), "utf8");
    for (const [before, then] of changes) {
      if (!text.includes(before)) throw new Error(`${path} has no ${before}`);
      text = text.replace(before, then);
    }
    await writeFile(join(this.folder, path), text);
  }

  async #run(port) {
    this.running = this.#process(port);
    [this.url] = await this.running.start(ADDRESS, START_MS);
  }

  kill9() {
    return this.running.kill9();
  }

  startAgain() {
    return this.#run(new URL(this.url).port);
  }

  async stop() {
    if (this.running?.running) await this.running.interrupt("SIGINT", STOP_MS);
    await rm(this.scratch, { recursive: true, force: true });
  }
}
