/** An author edits a guest while people play: `chorus dev` as it is run by hand, watching a folder of guests. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Server } from "../server.mjs";
import { PATIENCE_MS, pair, play, Player } from "./people.mjs";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
/** A build takes seconds, more on a busy machine. */
const BUILD_MS = 120_000;
const EDITED = { timeout: 2 * BUILD_MS };

let folder, script, server, news;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "chorus-edit-"));
  const skipped = ["node_modules", "fixtures", "test"].map((name) => join(REPOSITORY, "guests", name));
  await cp(join(REPOSITORY, "guests"), join(folder, "guests"), { recursive: true, filter: (path) => !skipped.includes(path) });
  await cp(join(REPOSITORY, "wit"), join(folder, "wit"), { recursive: true });
  await symlink(join(REPOSITORY, "guests/node_modules"), join(folder, "guests/node_modules"));
  script = join(folder, "guests/tic-tac-toe/index.js");
  server = await Server.start({ watch: true, args: ["--guests", join(folder, "guests")] });
  news = await News.of(server.url);
}, { timeout: BUILD_MS });

after(async () => {
  news?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("a new field with its migration comes into a game that is on, and the game goes on", EDITED, async () => {
  const players = await seated("Ana", "Ben");
  await play(players, [0, 3]);
  await edit(
    ["static config =", "static stateVersion = 2;\n  static migrate(old) { return { ...old, motto: `kept ${old.board.filter((cell) => cell !== null).length} marks` }; }\n  static config ="],
    ["view({ seats,", "view({ motto, seats,"],
    ["return { board,", "return { motto, board,"],
  );
  const { rooms } = await news.of("swapped");
  assert.ok(rooms >= 1);
  for (const player of players) await player.sees("the new field", ({ motto }) => motto === "kept 2 marks");
  await play(players, [1, 4, 2]);
  await players[0].sees("the end", ({ winner }) => winner === players[0].view.you);
  for (const player of players) (player.assertGapFree(), assert.equal(player.connections, 1, "its socket stayed open"));
  await leave(players);
});

test("a broken build is told with its place, and games go on as they were", EDITED, async () => {
  const players = await seated("Cleo", "Dan");
  const whole = await readFile(script, "utf8");
  await edit(["onCreate(", "onCreate(("]);
  const { message } = await news.of("build-failed");
  assert.match(message, /tic-tac-toe\/index\.js:\d+:\d+: /);
  assert.match(server.output, /does not build; its rooms go on as they were/);
  await play(players, [0, 3, 1]);
  const late = await News.of(server.url);
  assert.equal((await late.of("build-failed")).kind, "tic-tac-toe", "who opens the page later is told too");
  late.close();
  await writeFile(script, whole);
  await news.of("built");
  await play([players[1], players[0]], [4]);
  await leave(players);
});

test("a refused migration is told with its reason, and the game goes on on the old script", EDITED, async () => {
  const players = await seated("Eva", "Finn");
  await play(players, [0]);
  await edit(["static stateVersion = 2;", "static stateVersion = 3;"], ["static migrate(old) {", "static migrate(old) { throw new Error('not while they play');"]);
  const { message } = await news.of("swap-refused");
  assert.match(message, /not while they play/);
  await play([players[1], players[0]], [3, 1]);
  for (const player of players) player.assertGapFree();
  await leave(players);
});

async function seated(one, other) {
  const players = await Promise.all([one, other].map((name) => Player.join(name, server.url)));
  return pair(...players);
}

async function leave(players) {
  for (const player of players) await player.leave();
}

/** Saves the script with these pieces replaced, as an editor would. */
async function edit(...changes) {
  let text = await readFile(script, "utf8");
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `the script has: ${from}`);
    text = text.replace(from, to);
  }
  await writeFile(script, text);
}

/** What the page is told of builds and swaps. */
class News {
  #events = [];
  #changed = () => {};

  static async of(url) {
    const news = new News();
    news.request = get(`${url}/dev/events`);
    const [response] = await once(news.request, "response");
    let text = "";
    response.setEncoding("utf8").on("data", (piece) => {
      const events = (text + piece).split("\n\n");
      text = events.pop();
      news.#events.push(...events.map((event) => event.match(/^data:\s*(.*)$/m)?.[1]).filter(Boolean).map((data) => JSON.parse(data)));
      news.#changed();
    });
    response.on("error", () => {});
    return news;
  }

  /** The next event of one of these states; those before it are taken too. */
  async of(...states) {
    const deadline = Date.now() + BUILD_MS;
    for (;;) {
      while (this.#events.length > 0) {
        const event = this.#events.shift();
        if (states.includes(event.state)) return event;
      }
      assert.ok(Date.now() < deadline, `no ${states.join(" or ")} came within ${BUILD_MS} ms\n${server.output}`);
      await new Promise((resolve) => {
        const late = setTimeout(resolve, PATIENCE_MS);
        this.#changed = () => (clearTimeout(late), resolve());
      });
    }
  }

  close() { this.request.destroy(); }
}
