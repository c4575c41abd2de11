// Every snippet of the pages runs. A block of code whose first line names a file is run by the test of its page (docs.test.mjs,
// cookbook.test.mjs, types.test.mjs; a page in TypeScript or React is type-checked); the others are fragments, and each has an entry here:
// how it becomes a program, and what that does. A fragment without an entry is an error, and so is an entry without a fragment. What is only
// parsed, or runs with stand-ins, has its reason.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { Chorus } from "../../../clients/js/chorus.js";
import { ChorusProvider, useNow } from "../../../clients/js/react.js";
import { FakeServer, GAME, LOBBY, event, left, reply, room as roomFrame } from "../../../clients/js/test/fake.js";
import { blocksIn, fragmentsIn, pageText } from "./pages.mjs";
import { chorus, project, roomOf } from "./project.mjs";

const require = createRequire(new URL("../../../clients/js/react.js", import.meta.url));
const typescript = require("typescript");

// ---- The fragments ----

const ROOT = new URL("../../../", import.meta.url);
const filesBelow = (folder) => readdirSync(new URL(folder, ROOT), { recursive: true }).map((name) => `${folder}${name}`).sort();
const PAGES = [
  "README.md",
  "clients/js/README.md",
  ...readdirSync(new URL("packages/", ROOT)).map((name) => `packages/${name}/README.md`).filter((page) => existsSync(new URL(page, ROOT))),
  ...filesBelow("docs/").filter((name) => name.endsWith(".md")),
];

const fragments = PAGES.flatMap((page) => fragmentsIn(page).map((block) => ({ page, ...block, first: block.code.split("\n", 1)[0] })));

/** A fragment that has gaps (`…`), with them filled, in order. */
function filled(code, ...gaps) {
  assert.equal(code.split("…").length - 1, gaps.length, "the gaps of the fragment");
  return code.replaceAll("…", () => gaps.shift());
}

// ---- The table ----
//
// By page and the beginning of the fragment's first line. `as` is one of
//   class     members of a room's class, or the whole class. `rooms(code)`: the bodies of classes by kind, by default the fragment and `more`
//   method    statements in the handler `go` of a room. `more`: the other members, `vars`: statements before
//             Both: `story` is a test, in which `room()` creates the room, and `room.join` lets players in
//   page      statements of a page, run as its module with a client of clients/js and a server under the test's control. What the page
//             has around the fragment is in `has(world)`, what the fragment imports in `imports`, and `then(results, world)` is the test;
//             `results` are the variables in `gives`. `connected`: in the lobby, or in the room `at`; `inGame`: in a game, the variable `room`; `runs`: more than once, with these changes
//   component the body of a React component
//   foreign   of another product, parsed alone; `why` it is not run
//   module    an import of a test file, run as it is: `gives` are the functions that it imports

const FOREIGN = "the example is the other product's, which is no dependency here: the room beside it is run by docs.test.mjs";

const TABLE = {
  "README.md": {
    "import { Room }": {
      as: "class",
      story: `
        const it = await room(), ana = await it.join("Ana"), ben = await it.join("Ben");
        await ben.send("buzz");
        await assert.rejects(ana.send("buzz"), { message: "too late" });
        assert.deepEqual(ana.received(), [{ type: "won", data: { name: "Ben" } }]);
        await it.advance(3_000);
        assert.equal(ana.view.open, true);`,
    },
    "import { Chorus }": { as: "page", then: (_, { sent }) => assert.deepEqual(sent(), [["joinOrCreate", { kind: "buzzer", options: {} }], ["buzz", null]]) },
  },
  "clients/js/README.md": {
    "import { Chorus }": {
      as: "page",
      game: { view: { board: [] } },
      then: (_, { sent, drawn }) => {
        assert.deepEqual(sent(), [["joinOrCreate", { kind: "tic-tac-toe", options: {} }], ["move", { cell: 4 }], ["leave", {}]]);
        assert.deepEqual(drawn, [{ board: [] }]);
      },
    },
    "const [game] = await client.send": {
      as: "page",
      connected: true,
      answers: { games: [{ room: GAME, kind: "tic-tac-toe", players: ["Ana", "Ben"], since: 0 }] },
      gives: ["room"],
      then: ({ room }, { sent }) => {
        assert.equal(room.id, GAME);
        assert.deepEqual(sent(), [["games", null], ["join", { room: GAME, options: { watch: true } }]]);
      },
    },
    "const room = await client.join(code).catch": {
      as: "page",
      connected: true,
      at: "b".repeat(32),
      has: () => ({ code: "KQ7F2M" }),
      gives: ["room"],
      then: ({ room }, { sent }) => {
        assert.equal(room.id, GAME);
        assert.deepEqual(sent(), [["leave", {}], ["join", { room: "KQ7F2M", options: {} }]]);
      },
    },
    "const code = location.hash": {
      as: "page",
      runs: [{ address: "http://server/#KQ7F2M" }, { address: "http://server/" }],
      then: (_, { sent, address, location }) => {
        const creates = ["create", { kind: "tic-tac-toe", options: {}, private: true }];
        assert.deepEqual(sent(), [address.includes("#") ? ["join", { room: "KQ7F2M", options: {} }] : creates]);
        assert.equal(location.href, "http://server/#KQ7F2M");
      },
    },
    "const room = await client.joinOrCreate(": {
      as: "page",
      connected: true,
      has: () => ({ word: "garden" }),
      then: (_, { sent }) => assert.deepEqual(sent(), [["joinOrCreate", { kind: "chat", options: {}, name: "room-garden" }]]),
    },
    "const seconds": {
      as: "page",
      inGame: true,
      game: ({ now }) => ({ view: { endsAt: now() + 9_500 } }),
      gives: ["seconds"],
      then: ({ seconds }) => assert.ok(seconds >= 1 && seconds <= 10, `${seconds}`),
    },
  },
  "packages/chorus-rooms/README.md": {
    "import { createRoom, play }": { as: "module", gives: ["createRoom", "play"] },
  },
  "docs/author.md": {
    "import { Chorus }": {
      as: "page",
      game: { view: { round: 1 } },
      answers: { answer: ({ sum }) => (sum === 4 ? { isRight: true } : { code: "refused", message: "one answer in a round" }) },
      then: async (_, { sent, socket, drawn, shown, button, input }) => {
        input.value = "4";
        await button.onclick();
        input.value = "5";
        await button.onclick();
        assert.deepEqual(sent(), [["joinOrCreate", { kind: "quiz", options: {} }], ["answer", { sum: 4 }], ["answer", { sum: 5 }]]);
        socket.event("won", { name: "Ben" });
        socket.drop();
        assert.deepEqual(shown, ["right", "one answer in a round", "Ben has won", "reconnecting …"]);
        assert.deepEqual(drawn, [{ round: 1 }]);
      },
    },
  },
  "docs/coming-from.md": {
    "class Dot extends Schema": { as: "foreign", why: FOREIGN },
    "export default class Poll implements Party.Server": { as: "foreign", why: FOREIGN },
    'io.on("connection"': { as: "foreign", why: FOREIGN },
  },
  "docs/cookbook.md": {
    "let lines = []": {
      as: "page",
      inGame: true,
      runs: [{ game: { view: { lines: [{ id: 3, text: "c" }, { id: 4, text: "d" }] } } }, { game: { view: { lines: [] } }, isEmpty: true }],
      answers: { older: ({ before }) => [{ id: 1, text: "a" }, { id: 2, text: "b" }].filter(({ id }) => id < before) },
      gives: ["() => lines"],
      then: async ([lines], { olderButton, sent, socket, isEmpty }) => {
        if (isEmpty) {
          await olderButton.onclick();
          return assert.deepEqual([lines(), sent()], [[], []]);
        }
        socket.view({ lines: [{ id: 4, text: "d" }, { id: 5, text: "e" }] });
        await olderButton.onclick();
        await olderButton.onclick();
        assert.equal(lines().map(({ text }) => text).join(""), "abcde");
        assert.deepEqual(sent(), [["older", { before: 3 }], ["older", { before: 1 }]]);
      },
    },
    "import { roomName }": {
      as: "page",
      runs: [{ address: "http://server/room/garden" }],
      imports: { roomName: (path) => path.slice(1).replace("/", "-") },      // the file of the same page, run by cookbook.test.mjs
      then: (_, { sent }) => assert.deepEqual(sent(), [["joinOrCreate", { kind: "chat", options: {}, name: "room-garden" }]]),
    },
    "// In the page:": {
      as: "page",
      inGame: true,
      game: ({ now }) => ({ view: { endsAt: now() + 9_500 } }),
      then: (_, { ticks, shown, socket }) => {
        ticks.forEach((tick) => tick());
        socket.view({ endsAt: null });
        ticks.forEach((tick) => tick());
        assert.match(shown.join(","), /^\d+ s,$/);
      },
    },
    "const code = location.hash": {
      as: "page",
      runs: [{ address: "http://server/#KQ7F2M" }, { address: "http://server/" }],
      has: () => ({ prompt: () => "sesame" }),
      then: (_, { sent, address, location }) => {
        const options = { word: "sesame" };
        assert.deepEqual(sent(), [address.includes("#") ? ["join", { room: "KQ7F2M", options }] : ["create", { kind: "party", options, private: true }]]);
        assert.equal(location.href, "http://server/#KQ7F2M");
      },
    },
    "const isScreen": {
      as: "page",
      runs: ["screen", "screen#KQ7F2M", "", "#KQ7F2M"].map((path) => ({ address: `http://server/${path}` })),
      has: () => ({ prompt: () => "kq7-f2m" }),
      then: (_, { sent, address, location, shown }) => {
        const isScreen = address.includes("screen"), options = { screen: isScreen };
        const code = address.includes("#") ? "KQ7F2M" : "kq7-f2m";
        assert.deepEqual(sent(), [address.endsWith("screen") ? ["create", { kind: "stage", options, private: true }] : ["join", { room: code, options }]]);
        assert.equal(location.hash, "#KQ7F2M");
        assert.deepEqual(shown, isScreen ? ["http://server/#KQ7F2M"] : []);
      },
    },
  },
  "docs/deployment.md": {
    "const client = new Chorus": {
      as: "page",
      runs: [{ address: "https://game.example.org/play" }],
      has: () => ({ name: "Ana" }),
      gives: ["client"],
      then: ({ client }) => assert.deepEqual([client.url, client.name], ["wss://game.example.org/ws", "Ana"]),
    },
  },
  "docs/identity.md": {
    'import { readFileSync } from "node:fs"': {
      as: "page",      // of the game's own server; its packages are stand-ins: they are no dependencies here
      has: (world) => ({ app: { get: (...route) => { world.route = route; } }, requireLogin: "login" }),
      imports: { jwt: { sign: (claims, key, options) => `signed ${JSON.stringify({ claims, key, options })}` }, readFileSync: () => "key\n" },
      then: (_, { route: [path, login, handler] }) => {
        let body;
        handler({ user: { id: 7, name: "Ana", role: "moderator" } }, { send: (text) => { body = text; } });
        const claims = { sub: "7", name: "Ana", role: "moderator", aud: "game" };
        assert.deepEqual([path, login, body], ["/game-token", "login", `signed ${JSON.stringify({ claims, key: "key", options: { expiresIn: "10m" } })}`]);
      },
    },
    'const client = new Chorus("wss://play.example.org/ws"': {
      as: "page",
      has: () => ({ fetch: async (path) => new Response(`token of ${path}`) }),
      then: async (_, { hello }) => assert.equal((await hello()).token, "token of /game-token"),
    },
    "const keycloak = new Keycloak": {
      as: "page",      // Keycloak's library is a stand-in: it is no dependency here
      has: (world) => ({
        Keycloak: class {
          init({ onLoad }) { world.onLoad = onLoad; }
          async updateToken(seconds) { this.idToken = `for ${seconds} s`; }
        },
      }),
      then: async (_, { hello, onLoad }) => assert.deepEqual([onLoad, (await hello()).token], ["login-required", "for 60 s"]),
    },
    "onUpgrade(player, oldId)": {
      as: "class",
      more: `onCreate() { this.state = { scores: [] }; }
        messages = { win: ({ id }) => { this.state.scores = [...this.state.scores, [id, 2]]; } };`,
      story: `
        const it = await room(), ana = await it.join("Ana"), before = ana.id;
        await ana.send("win");
        await ana.upgrade("account-7");
        assert.notEqual(ana.id, before);
        assert.deepEqual(it.state.scores, [[ana.id, 2]]);`,
    },
  },
  "docs/privacy.md": {
    "onErase(id)": {
      as: "class",
      more: `onCreate() { this.state = { scores: {}, log: [] }; }
        messages = {
          win: ({ id }) => { this.state.scores[id] = 1; this.state.log.push({ by: id }); },
          erase: (player, id) => this.onErase(id),      // as the server calls it
        };`,
      story: `
        const it = await room(), ana = await it.join("Ana"), ben = await it.join("Ben");
        await ana.send("win");
        await ben.send("win");
        await ben.send("erase", ana.id);
        assert.deepEqual(it.state, { scores: { [ben.id]: 1 }, log: [{ by: ben.id }] });`,
    },
  },
  "docs/react.md": {
    "const now = useNow()": { as: "component", view: ({ now }) => ({ endsAt: now() + 9_500 }), shows: /^<time>\d+ s<\/time>$/ },
  },
  "docs/scripting.md": {
    "import { Room }": {
      as: "class",
      story: `
        const it = await room({ start: 3 }), ana = await it.join("Ana");
        assert.deepEqual(await ana.send("add", { by: 4 }), { count: 7 });
        await assert.rejects(ana.send("add"), { message: "by must be a whole number" });`,
    },
    "const counts = new Map": {
      as: "method",
      more: "onCreate() { this.state = { counts: [] }; }",
      vars: "const word = data;",
      story: `
        const it = await room(), ana = await it.join("Ana");
        for (const word of ["constructor", "apple", "constructor"]) await ana.send("go", word);
        assert.deepEqual(ana.view.counts, [["constructor", 2], ["apple", 1]]);`,
    },
    "messages = {": {
      as: "class",
      more: "onCreate() { this.state = { turn: null, board: Array(9).fill(null) }; }\nonJoin(player) { this.state.turn ??= player.id; }",
      story: `
        const it = await room(), ana = await it.join("Ana"), ben = await it.join("Ben");
        await assert.rejects(ben.send("move", { cell: 1 }), { message: "it is not your turn" });
        assert.deepEqual(await ana.send("move", { cell: 1 }), { left: 8 });
        assert.deepEqual(ben.received(), [{ type: "moved", data: { cell: 1 } }]);
        for (const wrong of [{ cell: 1 }, { cell: 9 }, { cell: "length" }, null]) await assert.rejects(ana.send("move", wrong), { message: "the cell is not free" });`,
    },
    "onJoin(player) { if (player.claims": {
      as: "class",
      more: "onCreate() { this.state = { muted: {} }; }",
      story: `
        const it = await room(), mod = await it.join({ name: "Mod", claims: { role: "moderator" } }), ana = await it.join("Ana");
        await assert.rejects(ana.send("mute", { id: mod.id, seconds: 60 }), { message: "only moderators mute" });
        await assert.rejects(mod.send("mute", { id: ana.id }), { message: "id and seconds are needed" });
        await mod.send("mute", { id: ana.id, seconds: 60 });
        await assert.rejects(ana.send("say", "hello"), { message: "you are muted" });
        await it.advance(60_000);
        await ana.send("say", "hello");
        assert.deepEqual(mod.received(), [{ type: "said", data: { name: "Ana", text: "hello" } }]);`,
    },
    "static config = { maxPlayers: 2 };": {
      as: "class",
      more: "onCreate() { this.state = { board: [] }; }",
      story: `
        const it = await room(), ana = await it.join("Ana"), ben = await it.join("Ben"), eva = await it.join("Eva");
        assert.deepEqual([ana, ben, eva].map(({ view }) => view), [false, false, true].map((watching) => ({ board: [], watching })));
        await assert.rejects(eva.send("sit"), { message: "no seat is free" });
        await assert.rejects(eva.send("stand"), { message: "you are watching" });
        await assert.rejects(ana.send("sit"), { message: "you have a seat" });
        await ana.send("stand");
        await eva.send("sit");
        assert.deepEqual([ana, ben, eva].map(({ view }) => view.watching), [true, false, false]);`,
    },
    "view(state) {": {
      as: "class",
      rooms: (code) => Object.fromEntries(code.trim().split("\n").map((line, at) => [
        `views-${at + 1}`,
        `onCreate() { this.state = { board: [7], table: { pot: 5 }, hands: {} }; }\nonJoin({ id, name }) { this.state.hands[id] = name; }\n${line}`,
      ])),
      story: `
        for (const [kind, view] of [["views-1", { board: [7] }], ["views-2", { pot: 5, hand: "Ana" }]]) {
          const it = await createRoom(kind), ana = await it.join("Ana");
          await it.join("Ben");
          assert.deepEqual(ana.view, view);
        }`,
    },
    "timers = { turnExpired": {
      as: "class",
      rooms: (code) => {
        const [members, statements] = code.split("\n…\n"), [after, cancel] = statements.trim().split("\n");
        return { timers: `onCreate() { this.state = { lost: null }; }\n${members}\nmessages = { start: () => { ${after} }, stop: () => { ${cancel} } };` };
      },
      story: `
        const it = await room(), ana = await it.join("Ana");
        await ana.send("start");
        await ana.send("stop");
        await it.advance(30_000);
        assert.equal(ana.view.lost, null);
        await ana.send("start");
        await it.advance(30_000);
        assert.equal(ana.view.lost, 0);`,
    },
    "timers = {": {
      as: "class",
      rooms: (code) => ({
        outage: `onCreate() { this.state = { tickAt: null, endsAt: null, lost: false }; this.#begin(57_000); this.#tick(); }
          ${filled(code, "").replace("messages = {", `messages = {
            outage: (_, ms) => { this.state.tickAt -= ms; this.state.endsAt -= ms; },      // no server is down in the harness: the clock goes on by this
          `)}
          #begin(ms) { this.state.endsAt = this.now() + ms; this.schedule.after(ms, "turn"); }
          #lose() { Object.assign(this.state, { lost: true, tickAt: null }); this.schedule.cancel("tick"); }`,
      }),
      story: `
        const cases = {
          message: { next: (it, ana) => ana.send("move") },
          drop: { next: (it, ana) => ana.drop() },
          reconnection: { before: (ana) => ana.drop(), next: (it, ana) => ana.reconnect() },
          tick: { next: (it) => it.advance(3_000) },
        };
        for (const [name, { before, next }] of Object.entries(cases)) {
          const it = await room(), ana = await it.join("Ana"), ben = await it.join("Ben");
          await it.advance(12_000);
          await before?.(ana);
          await ben.send("outage", 600_000);
          await next(it, ana);
          assert.equal(it.state.endsAt - it.now, 42_000, name);      // as when the tick of 15 s was due
          await it.advance(41_999);
          assert.equal(ben.view.lost, false);
          await it.advance(1);
          assert.equal(ben.view.lost, true);
        }
        const it = await room(), ana = await it.join("Ana");
        await it.advance(56_000);
        await ana.send("outage", 600_000);
        await it.advance(1_000);      // the turn's own timer, before the tick
        assert.deepEqual([ana.view.lost, it.state.endsAt - it.now], [false, 1_000]);
        await it.advance(1_000);
        assert.equal(ana.view.lost, true);`,
    },
    "const room = this.rooms.create": {
      as: "method",
      vars: "const [ana, ben] = this.players;",
      story: `
        const it = await room(), ana = await it.join("Ana"), ben = await it.join("Ben");
        await ana.send("go");
        const [{ room: id, kind, options }] = it.created;
        assert.deepEqual([kind, options, ana.moving.room, ben.moving.room], ["tic-tac-toe", { seats: [ana.id, ben.id] }, id, id]);`,
    },
    "messages = { look": {
      as: "class",
      more: "onCreate() { this.state = { tables: [] }; }",
      story: `
        const it = await room(), ana = await it.join("Ana");
        await ana.send("look");
        assert.deepEqual(it.finds.map(({ kind, where }) => [kind, where]), [["table", { level: 3 }]]);
        await it.answer({ rooms: [{ id: "one", kind: "table", members: 1, metadata: { level: 3 } }] });
        assert.deepEqual(ana.view.tables, ["one"]);
        await ana.send("look");
        await it.answer({ error: "no answer" });
        assert.deepEqual(ana.view.tables, []);`,
    },
    "export default class Duel": {
      as: "class",
      rooms: (code) => ({ duel: filled(code, "this.state = { seats, names, mode };") }),
      story: `
        const it = await room({ seats: ["a", "b"], names: ["Ana", "Ben"], mode: "fast" }), ana = await it.join("Ana");
        assert.deepEqual(ana.view, { seats: ["a", "b"], names: ["Ana", "Ben"], mode: "fast" });`,
    },
    "static stateVersion = 2;": {
      as: "class",
      rooms: (code) => ({
        ...Object.fromEntries([1, 3].map((version) => [`version-${version}`, `static stateVersion = ${version};\nonCreate() { this.state = { board: [] }; }`])),
        "version-2": `onCreate() { this.state = { board: [], moves: 0 }; }\nonRestore() {}\n${code}`,
        // A version that has no way to it: the fragment's, as of the version after.
        "version-4": code.replace("stateVersion = 2", "stateVersion = 4"),
      }),
      story: `
        const it = await createRoom("version-1"), ana = await it.join("Ana");
        await it.swap("version-2");
        assert.deepEqual(ana.view, { board: [], moves: 0 });
        await assert.rejects(it.swap("version-4"), { code: "refused", message: /no way from version 2/ });
        assert.deepEqual(ana.view, { board: [], moves: 0 });`,
    },
  },
};

/** The tests of the pages that have files. */
const TESTS = {
  "clients/js/README.md": "types.test.mjs",
  "docs/author.md": "docs.test.mjs",
  "docs/coming-from.md": "docs.test.mjs",
  "docs/cookbook.md": "cookbook.test.mjs",
  "docs/react.md": "types.test.mjs",
  "docs/scripting.md": "types.test.mjs",
  "docs/skill/SKILL.md": "docs.test.mjs",
  "docs/testing.md": "docs.test.mjs",
  "docs/tutorial.md": "docs.test.mjs",
};

const KINDS = ["class", "method", "page", "component", "foreign", "module"];
const entries = Object.entries(TABLE).flatMap(([page, lines]) => Object.entries(lines).map(([line, entry]) => ({ page, line, ...entry })));

/** The entry of a fragment; of two whose beginnings fit, the longer one. */
function entryOf({ page, first }) {
  return entries.filter((entry) => entry.page === page && first.startsWith(entry.line)).sort((a, b) => b.line.length - a.line.length)[0];
}

const of = (...kinds) => fragments.map((fragment) => ({ ...entryOf(fragment), ...fragment })).filter(({ as }) => kinds.includes(as));
const titleOf = ({ page, first }) => `${page}: ${first.trim().slice(0, 60)}`;

test("each fragment of the pages has an entry here, and each entry one fragment", () => {
  assert.deepEqual(fragments.filter((fragment) => !entryOf(fragment)).map(titleOf), [], "fragments without an entry");
  const count = (entry) => fragments.filter((fragment) => entryOf(fragment) === entry).length;
  assert.deepEqual(entries.filter((entry) => count(entry) !== 1).map(({ page, line }) => `${page}: ${line}`), [], "entries that are not of one fragment");
  assert.deepEqual(entries.filter(({ as, story, then, shows, gives, why }) => !KINDS.includes(as) || !(story ?? then ?? shows ?? gives ?? why)), []);
});

test("each page with files of programs has a test that reads it", () => {
  const pages = PAGES.filter((page) => blocksIn(page).some(({ path }) => /\.(?:[cm]?[jt]s|[jt]sx)$/.test(path)));
  assert.deepEqual(pages.sort(), Object.keys(TESTS).sort());
  for (const [page, name] of Object.entries(TESTS)) {
    assert.match(pageText(`packages/chorus-rooms/test/${name}`), new RegExp(`(?:filesIn|blocksIn)\\("${page}"\\)`), name);
  }
});

// ---- Rooms ----

const IMPORTS = 'import assert from "node:assert/strict";\nimport { test } from "node:test";\nimport { createRoom } from "chorus-rooms/test";\n';

/** The rooms of a fragment, bodies of classes by kind. */
function roomsOf({ as, code, more = "", vars = "", rooms }, kind) {
  if (rooms) return rooms(code);
  return { [kind]: as === "class" ? `${more}\n${code}` : `${more}\nmessages = { go: (player, data) => { ${vars}\n${code} } };` };
}

/** A whole class stays as it is. */
function sourceOf(body) {
  if (!/^export default class /m.test(body)) return roomOf(body);
  return body.includes('from "chorus"') ? body : `import { Room } from "chorus";\n${body}`;
}

test("the rooms of the fragments are built, and do what the pages say; the imports of tests exist", () => {
  const files = {}, stories = [];
  of("class", "method").forEach((fragment, at) => {
    const rooms = roomsOf(fragment, `fragment-${at + 1}`), [kind] = Object.keys(rooms);
    for (const [name, body] of Object.entries(rooms)) files[`rooms/${name}/index.js`] = sourceOf(body);
    stories.push(`test(${JSON.stringify(titleOf(fragment))}, async () => {\nconst room = (options) => createRoom(${JSON.stringify(kind)}, options);\n${fragment.story}\n});`);
  });
  const modules = of("module");
  modules.forEach(({ code, gives, ...fragment }, at) => {
    files[`test/module-${at + 1}.test.js`] = `import assert from "node:assert/strict";\nimport { test } from "node:test";\n${code}
      test(${JSON.stringify(titleOf(fragment))}, () => assert.deepEqual([${gives}].map((one) => typeof one), Array(${gives.length}).fill("function")));\n`;
  });
  // With `--only` no room is played at random: the title of each test has a colon.
  const { status, output, stdout } = chorus(project({ ...files, "test/stories.test.js": IMPORTS + stories.join("\n") }), "test", "--only", ": ");
  assert.equal(status, 0, output);
  assert.match(stdout, new RegExp(`ℹ pass ${stories.length + modules.length}\n`));
  assert.doesNotMatch(output, /warning/);
});

// ---- Pages ----

const OFFSET = 3_600_000;
const now = () => Date.now() + OFFSET;

/** A server that admits the session to `at`, moves it by the lobby's requests, and answers the other messages by `answers`. Its clock is an hour ahead. */
function serverOf({ at = LOBBY, game = {}, answers = {} }) {
  const server = new FakeServer(), seqs = new Map();
  const { view = {} } = typeof game === "function" ? game({ now }) : game;
  const next = (room) => (seqs.set(room, (seqs.get(room) ?? 0) + 1), seqs.get(room));
  const enters = (room, kind = room === LOBBY ? "lobby" : "game") => server.send({ ...roomFrame(room, next(room), room === LOBBY ? {} : view), kind });
  const answer = (frame) => {
    if (frame.t === "hello") {
      server.send({ t: "welcome", session: "s1", resume: "token", recovered: false, pingMs: 60_000, now: now() });
      return enters(at);
    }
    if (frame.t !== "msg") return;
    const { room, id, type, data } = frame;
    const target = type === "leave" ? LOBBY : room === LOBBY && ["joinOrCreate", "create", "join"].includes(type) ? GAME : null;
    if (target) {
      const place = { room: target, code: "KQ7F2M" };
      if (target === GAME) server.send(event(room, next(room), "placed", place));
      server.send(reply(room, next(room), id, place));
      enters(target, data?.kind);
      return server.send(left(room, next(room)));
    }
    const given = typeof answers[type] === "function" ? answers[type](data) : answers[type] ?? null;
    server.send(given?.code ? { t: "error", room, seq: next(room), id, ...given } : reply(room, next(room), id, given));
  };
  const Base = server.WebSocket;
  class WebSocket extends Base {
    constructor(...details) {
      super(...details);
      setImmediate(() => this.onopen?.({}));
    }

    send(text) {
      super.send(text);
      setImmediate(answer, JSON.parse(text));
    }
  }
  return {
    WebSocket,
    frames: (t) => server.sockets.flatMap((socket) => socket.sent).filter((frame) => frame.t === t),
    event: (type, data) => server.send(event(GAME, next(GAME), type, data)),
    view: (to) => server.send({ t: "patch", room: GAME, seq: next(GAME), ops: [{ op: "replace", path: "", value: to }] }),
    drop: () => server.drop(),
  };
}

/** Waits until `get` gives something. */
async function eventually(get, what) {
  for (const deadline = Date.now() + 5_000; Date.now() < deadline;) {
    const got = get();
    if (got) return got;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`no ${what}`);
}

const AsyncFunction = (async () => {}).constructor;

const IMPORT = /^import (?:\{ (.*?) \}|(\w+)) from ".*";$/gm;
const importedIn = (code) => [...code.matchAll(IMPORT)].flatMap(([, names, one]) => names?.split(", ") ?? [one]);

/** A page at an address, as far as the fragments have one; `close` ends its clients. */
function worldOf(entry, address) {
  const socket = serverOf(entry), clients = [];
  const world = {
    address, socket, shown: [], drawn: [], ticks: [], button: {}, input: {}, olderButton: {}, location: new URL(address),
    sent: () => socket.frames("msg").map(({ type, data }) => [type, data ?? null]),
    hello: () => eventually(() => socket.frames("hello")[0], "hello"),
    close: () => clients.forEach((client) => client.close()),
  };
  world.Chorus = class extends Chorus {
    constructor(url, options) {
      super(url instanceof URL ? url : new URL(url, address).href, { ...options, WebSocket: socket.WebSocket, storage: null });
      clients.push(this);
    }
  };
  return world;
}

/** The variables of a page with this world. */
function variablesOf(entry, world) {
  const { Chorus, button, input, olderButton, location } = world;
  return {
    Chorus, button, input, olderButton, location,
    history: { replaceState: (state, title, url) => { location.href = new URL(url, location).href; } },
    show: (text) => world.shown.push(text),
    draw: (view) => world.drawn.push(view),
    setInterval: (tick) => world.ticks.push(tick),
    console: { log() {} },
    ...entry.has?.(world),
    // Not there unless the fragment imports it.
    ...Object.fromEntries(importedIn(entry.code).map((name) => [name, entry.imports?.[name] ?? { Chorus }[name]])),
  };
}

async function runPage(entry, { address = "http://server/", ...more } = {}) {
  const world = Object.assign(worldOf({ ...entry, ...more }, address), more), variables = variablesOf(entry, world);
  try {
    if (!entry.code.includes("new Chorus(")) {
      variables.client = new world.Chorus("/ws", { name: "Ana" });
      const { client } = variables;
      if (entry.connected || entry.inGame) client.connect();
      if (entry.connected) await eventually(() => client.room, "room");
      if (entry.inGame) variables.room = await client.joinOrCreate("game");
    }
    const before = world.sent().length, { sent } = world;
    world.sent = () => sent().slice(before);
    const gives = entry.gives ?? [];
    // The block is in a scope of its own, so that it may declare what the page has by that name, such as `client`.
    const body = `{ ${entry.code.replace(IMPORT, "")}\nreturn [${gives.join(", ")}]; }`;
    const values = await new AsyncFunction(...Object.keys(variables), body)(...Object.values(variables));
    const results = Object.assign(values, Object.fromEntries(gives.map((name, at) => [name, values[at]])));
    await entry.then(results, world);
  } finally {
    world.close();
  }
}

for (const entry of of("page")) {
  test(titleOf(entry), { timeout: 30_000 }, async () => {
    for (const one of entry.runs ?? [{}]) await runPage(entry, one);
  });
}

// ---- The others ----

for (const entry of of("component")) {
  test(titleOf(entry), async (t) => {
    const React = require("react"), { act, create } = require("react-test-renderer");
    globalThis.IS_REACT_ACT_ENVIRONMENT = true;
    t.mock.method(console, "error", () => {});      // the renderer writes that it is deprecated
    const { outputText } = typescript.transpileModule(`const component = ({ view }) => {\n${entry.code}\n};`, { compilerOptions: { jsx: typescript.JsxEmit.React, target: "es2022" } });
    const component = new Function("React", "useNow", `${outputText}\nreturn component;`)(React, useNow);
    const world = worldOf({}, "http://server/"), client = new world.Chorus("/ws", {});
    client.connect();
    await eventually(() => client.room, "room");
    let root;
    await act(() => { root = create(React.createElement(ChorusProvider, { client }, React.createElement(component, { view: entry.view({ now }) }))); });
    const { type, children } = root.toJSON();
    assert.match(`<${type}>${children.join("")}</${type}>`, entry.shows);
    await act(() => root.unmount());
    world.close();
  });
}

for (const entry of of("foreign")) {
  test(`${titleOf(entry)} … is parsed`, () => {
    const { diagnostics } = typescript.transpileModule(entry.code, { reportDiagnostics: true, fileName: `fragment.${entry.language}`, compilerOptions: { experimentalDecorators: true, target: "es2022", module: "esnext" } });
    assert.deepEqual(diagnostics.map(({ messageText }) => messageText), []);
  });
}
