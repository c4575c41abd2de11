/** An author edits a guest while games are played: `chorus dev` as an author runs it, watching a folder of guests. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Server } from "../server.mjs";
import { WAIT_MS, pair, play, Player } from "./player.mjs";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
/** A build takes seconds, and longer on a busy machine. */
const BUILD_MS = 120_000;
const EDITED = { timeout: 2 * BUILD_MS };

let folder, guests, script, server, news;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "chorus-edit-"));
  const skipped = ["node_modules", "fixtures", "test"].map((name) => join(REPOSITORY, "guests", name));
  await cp(join(REPOSITORY, "guests"), join(folder, "guests"), { recursive: true, filter: (path) => !skipped.includes(path) });
  await cp(join(REPOSITORY, "wit"), join(folder, "wit"), { recursive: true });
  const tools = join(REPOSITORY, "engine", "node_modules");
  await cp(join(REPOSITORY, "engine"), join(folder, "engine"), { recursive: true, filter: (path) => path !== tools });
  await symlink(join(REPOSITORY, "guests/node_modules"), join(folder, "guests/node_modules"));
  guests = join(folder, "guests");
  script = join(guests, "tic-tac-toe/index.js");
  server = await Server.start({ watch: true, args: ["--guests", join(folder, "guests")] });
  news = await News.of(server.url);
}, { timeout: BUILD_MS });

after(async () => {
  news?.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("a running game gets a new field by its migration, and continues", EDITED, async () => {
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

test("a failed build is reported with its place, and games continue unchanged", EDITED, async () => {
  const players = await seated("Cleo", "Dan");
  const whole = await readFile(script, "utf8");
  await edit(["onCreate(", "onCreate(("]);
  const { message } = await news.of("build-failed");
  assert.match(message, /tic-tac-toe\/index\.js:\d+:\d+: /);
  assert.match(server.output, /does not build; its rooms keep the previous version/);
  await play(players, [0, 3, 1]);
  const late = await News.of(server.url);
  assert.equal((await late.of("build-failed")).kind, "tic-tac-toe", "a page that is opened later shows it too");
  late.close();
  await writeFile(script, whole);
  await news.of("built");
  await play([players[1], players[0]], [4]);
  await leave(players);
});

test("a refused migration is reported with its reason, and the game continues with the old script", EDITED, async () => {
  const players = await seated("Eva", "Finn");
  await play(players, [0]);
  await edit(["static stateVersion = 2;", "static stateVersion = 3;"], ["static migrate(old) {", "static migrate(old) { throw new Error('not while they play');"]);
  const { message } = await news.of("swap-refused");
  assert.match(message, /not while they play/);
  await play([players[1], players[0]], [3, 1]);
  for (const player of players) player.assertGapFree();
  await leave(players);
});

/** Resolves with the part of the terminal's output that matches, as soon as there is one. */
async function printed(pattern) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const [text] = server.output.match(pattern) ?? [];
    if (text !== undefined) return text;
    assert.ok(Date.now() < deadline, `never printed ${pattern}\n${server.output}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves with the output of `chorus room events` for a room, as soon as it matches. */
async function happened(room, pattern) {
  const token = (await readFile(join(server.data, "token"), "utf8")).trim();
  const env = { ...process.env, CHORUS_MONITOR: server.url, CHORUS_TOKEN: token };
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const { stdout } = await promisify(execFile)(server.bin, ["room", "events", room, "--content"], { env });
    if (pattern.test(stdout)) return stdout;
    assert.ok(Date.now() < deadline, `never happened: ${pattern}\n${stdout}`);
  }
}

/** The README's first room, as printed there. */
async function firstRoom() {
  const readme = await readFile(join(REPOSITORY, "README.md"), "utf8");
  const [, room] = readme.match(/```js\n(import \{ Room \}.*?)```/s);
  return room;
}

test("the README's first steps work in their order, with the server running", EDITED, async () => {
  await mkdir(join(guests, "buzzer"));
  await writeFile(join(guests, "buzzer/index.js"), await firstRoom());
  await news.about("buzzer", "published");
  await news.about("lobby", "swapped");
  const players = await Promise.all(["Gus", "Hana"].map((name) => Player.join(name, server.url)));
  for (const player of players) await player.send("joinOrCreate", { kind: "buzzer" });
  for (const player of players) await player.in("buzzer");
  await players[0].send("buzz", {});
  for (const player of players) await player.receives("won");
  for (const player of players) player.assertGapFree();
  await leave(players);
});

test("a throw is reported at the author's line, with the log lines of its call, and the player gets its message", EDITED, async () => {
  const path = join(guests, "buzzer/index.js");
  news.dropAll();
  await edit(path, ["messages = {", "messages = {\n    broken: () => {\n      console.log('\\x1b[31mnearly\\x07 there');\n      null.field;\n    },\n    spin: () => { for (;;); },"]);
  await news.about("buzzer", "published", "swapped");
  const line = (await readFile(path, "utf8")).split("\n").findIndex((text) => text.includes("null.field")) + 1;
  const players = await Promise.all(["Ida", "Jon"].map((name) => Player.join(name, server.url)));
  for (const player of players) await player.send("joinOrCreate", { kind: "buzzer" });
  for (const player of players) await player.in("buzzer");
  // It is the room of the players before them.
  await players[0].sees("the next round", ({ open }) => open);
  await assert.rejects(players[0].send("broken", {}), ({ code, message }) => code === "fault" && /: it threw: TypeError: /.test(message));
  const text = await printed(/buzzer [0-9a-f]{8}: messages\.broken threw TypeError: .*\n.*/);
  assert.match(text, new RegExp(`buzzer/index\\.js:${line}:\\d+`));
  assert.doesNotMatch(text, /script:|componentize|sdk\//);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(server.output, /[\x1b\x07]/, "nothing that a terminal obeys");
  assert.match(server.output, /\(before it failed\) \\u\{1b\}\[31mnearly\\u\{7\} there/);
  await assert.rejects(players[0].send("spin", {}), ({ code }) => code === "too_costly");
  await printed(/buzzer [0-9a-f]{8}: messages\.spin .*fuel/);

  // Operators see the same error; a timer is listed with its name.
  await players[0].send("buzz", {});
  const { id } = players[0].client.room;
  const events = await happened(id, / timer .* name=next/);
  const threw = events.split("\n").find((text) => text.includes("  threw "));
  assert.match(threw, new RegExp(`at=\\S* ?\\(?buzzer/index\\.js:${line}:\\d+`));
  assert.match(threw, /handler=messages\.broken/);
  assert.match(events, / fault .*handler=messages\.spin/);
  await leave(players);
});

test("packages, names and folders: each mistake is reported until it is fixed", EDITED, async () => {
  const chess = join(guests, "chess");
  await mkdir(chess);
  await writeFile(join(chess, "index.js"), 'import { Room } from "chorus";\nimport { Chess } from "chess.js";\nexport default class extends Room { onCreate() { this.state = { moves: Chess }; } }\n');
  const missing = await news.about("chess", "build-failed");
  assert.match(missing.message, /chess\/index\.js:2:23: the package "chess\.js" is not installed; run `npm install chess\.js` in guests\//);

  // As npm writes it, in the guest's folder.
  await writeFile(join(chess, "package.json"), '{\n  "main": "index.js",\n  "type": "commonjs"\n}\n');
  assert.match((await news.about("chess", "build-failed")).message, /in guests\/chess\//);
  await mkdir(join(chess, "node_modules/chess.js"), { recursive: true });
  await writeFile(join(chess, "node_modules/chess.js/index.js"), "export const Chess = 8;\n");
  await writeFile(join(chess, "node_modules/.package-lock.json"), "{}");
  await news.about("chess", "built");

  await rename(join(chess, "index.js"), join(chess, "room.js"));
  assert.match((await news.about("chess", "build-failed")).message, /chess\/package\.json:2:3: `main` is "index\.js", and there is no such file/);
  await writeFile(join(chess, "package.json"), '{ "main": "room.js" }');
  await news.about("chess", "built");

  await rename(chess, join(guests, "checkers"));
  await news.about("checkers", "built");
  await news.about("chess", "gone");
  await writeFile(join(guests, "checkers/room.js"), "nonsense(");
  await news.about("checkers", "build-failed");
  await rm(join(guests, "checkers"), { recursive: true });
  await news.about("checkers", "gone");
  const late = await News.of(server.url);
  await late.about("lobby", "swapped");
  assert.ok(!late.seen.some(({ state }) => state === "build-failed"), "its error went with it");
  late.close();
});

test("players receive nothing of builds and logs", EDITED, async () => {
  const page = await (await fetch(`${server.url}/`)).text();
  assert.doesNotMatch(page, /banner/);
  assert.equal((await fetch(`${server.url}/dev`)).status, 200);
  for (const path of ["dev", "dev/dev.js", "dev/events", "dev/inspector", "dev/process"]) {
    const proxied = await fetch(`${server.url}/${path}`, { headers: { "x-forwarded-for": "192.0.2.1" } });
    assert.equal(proxied.status, 404, path);
  }
});

async function seated(one, other) {
  const players = await Promise.all([one, other].map((name) => Player.join(name, server.url)));
  return pair(...players);
}

async function leave(players) {
  for (const player of players) await player.leave();
}

/** Saves the script (or the file in the first argument) with these pieces replaced, as an editor would. */
async function edit(...changes) {
  const path = typeof changes[0] === "string" ? changes.shift() : script;
  let text = await readFile(path, "utf8");
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `the script has: ${from}`);
    text = text.replace(from, to);
  }
  await writeFile(path, text);
}

/** The events of builds and swaps that the server sends to the page. */
class News {
  #events = [];
  #changed = () => {};
  /** All events, oldest first. */
  seen = [];

  static async of(url) {
    const news = new News();
    news.request = get(`${url}/dev/events`);
    const [response] = await once(news.request, "response");
    let text = "";
    response.setEncoding("utf8").on("data", (piece) => {
      const events = (text + piece).split("\n\n");
      text = events.pop();
      const fresh = events.map((event) => event.match(/^data:\s*(.*)$/m)?.[1]).filter(Boolean).map((data) => JSON.parse(data));
      news.#events.push(...fresh);
      news.seen.push(...fresh);
      news.#changed();
    });
    response.on("error", () => {});
    return news;
  }

  /** The next event with one of these states. Events before it are dropped. */
  of(...states) {
    return this.#next(states.join(" or "), ({ state }) => states.includes(state));
  }

  /** The next event of this kind with one of these states. Events of other kinds are kept. */
  about(kind, ...states) {
    return this.#next(`${kind} ${states.join(" or ")}`, (event) => event.kind === kind && states.includes(event.state), kind);
  }

  async #next(what, fits, kind) {
    const deadline = Date.now() + BUILD_MS;
    for (;;) {
      const at = this.#events.findIndex(fits);
      if (at >= 0) {
        const passed = this.#events.splice(0, at + 1);
        if (kind !== undefined) this.#events.unshift(...passed.slice(0, -1).filter((event) => event.kind !== kind));
        return passed.at(-1);
      }
      if (kind === undefined) this.#events = [];
      assert.ok(Date.now() < deadline, `no ${what} came within ${BUILD_MS} ms\n${server.output}`);
      await new Promise((resolve) => {
        const late = setTimeout(resolve, WAIT_MS);
        this.#changed = () => (clearTimeout(late), resolve());
      });
    }
  }

  /** Drops all events so far. */
  dropAll() { this.#events = []; }

  close() { this.request.destroy(); }
}
