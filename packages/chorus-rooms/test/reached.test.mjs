// What random play reaches: it plays games of turns to their end, says what was never reached, and what calls and views cost.

import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";

import { createRoom, playKind } from "chorus-rooms/test";
import { chorus, project, roomOf } from "./project.mjs";

let rooms = 0;
function written(body) {
  const kind = `reached-${++rooms}`;
  return pathToFileURL(join(project({ [`rooms/${kind}/index.js`]: roomOf(body) }), "rooms", kind));
}

/** Four play in turns; who takes too long is skipped, and the game is begun anew. After `ROUNDS` of all, there is a showdown. */
const TURNS = (showdown) => `static config = { maxPlayers: 4 };
  state = { order: [], turn: 0, moves: 0, showdowns: 0 };
  onJoin({ session }) { this.state.order.push(session); if (this.state.order.length === 4) this.#clock(); }
  onLeave({ session }) { this.state.order = this.state.order.filter((one) => one !== session); this.#stop(); }
  #clock() { this.schedule.after(10_000, "turn"); }
  #stop() { Object.assign(this.state, { turn: 0, moves: 0 }); this.schedule.cancel("turn"); if (this.state.order.length === 4) this.#clock(); }
  messages = {
    move: (player) => {
      const { order, turn } = this.state;
      if (order.length < 4) this.refuse("four play");
      if (order[turn] !== player.session) this.refuse("it is not your turn");
      this.state.turn = (turn + 1) % 4;
      this.state.moves += 1;
      this.#clock();
    },
    show: (player) => {
      if (this.state.moves < 8) this.refuse("play on");
      if (this.state.order[this.state.turn] !== player.session) this.refuse("it is not your turn");
      ${showdown}
      this.#stop();
    },
    never: () => this.refuse("no"),
  };
  timers = { turn: () => this.#stop(), later: () => {} };`;

const onTurn = ({ room: { state }, player }, least) => (state.order.length === 4 && state.order[state.turn] === player.session && state.moves >= least ? null : undefined);
const PLAN = { messages: { move: (_, given) => onTurn(given, 0), show: (_, given) => onTurn(given, 8), never: () => undefined }, repetitions: 0, tabs: false };

test("a game of turns is played to its end, where a mistake is", async () => {
  const where = written(TURNS('throw new Error("nobody has won");'));
  for (const seed of [1, 2, 3]) {
    const { failure } = await playKind(where, PLAN, { runs: 300, seed });
    assert.match(failure?.message ?? "it is not found", /nobody has won/);
    assert.deepEqual(failure.steps.map(({ do: what, type = "" }) => `${what} ${type}`.trim()), [...Array(4).fill("join"), ...Array(8).fill("send move"), "send show"], failure.story);
  }
});

test("messages, timers and answers are counted, and those that are in no run are named", async () => {
  const where = written(TURNS("this.state.showdowns += 1;"));
  const { reached, failure } = await playKind(where, { ...PLAN, junk: false }, { runs: 200, seed: 1 });
  assert.equal(failure, undefined, failure?.message);
  const { messages, timers, never, fuel } = reached.toJSON();
  assert.ok(messages.show.accepted > 0 && messages.move.accepted > 8 * messages.show.accepted, JSON.stringify(messages));
  assert.deepEqual(messages.never, { accepted: 0, refused: 0 });
  assert.ok(timers.turn > 0);
  assert.deepEqual(never, { accepted: ["never"], fired: ["later"], answered: [] });
  assert.ok(fuel["messages.move"] > 0 && fuel["messages.move"] < 0.1 && Object.keys(fuel).includes("onJoin"), JSON.stringify(fuel));
  const again = await playKind(where, { ...PLAN, junk: false }, { runs: 200, seed: 1 });
  assert.deepEqual(again.reached.toJSON(), reached.toJSON(), "the same seed reaches the same");
  const repeated = await playKind(where, { messages: { never: null }, repetitions: 100 }, { runs: 4, seed: 1 });
  assert.ok(repeated.reached.toJSON().messages.never.refused < 200, "a repetition counts once");
});

test("the summary and --json have what was reached", () => {
  const test_ = `import { play } from "chorus-rooms/test";\nplay("turns", { messages: { move: null, show: null }, junk: false, repetitions: 0, players: 3, tabs: false });\n`;
  const folder = project({ "rooms/turns/index.js": roomOf(TURNS("")), "test/turns.test.js": test_ });
  const { status, stdout } = chorus(folder, "test", "--runs", "20");
  assert.equal(status, 0, stdout);
  for (const line of [/turns: 20 runs, \d+ steps, seed 1/, /turns: messages, accepted\/refused: move 0\/\d+, show 0\/\d+/, /turns: never accepted: move, show, never$/m, /turns: never fired: turn, later$/m, /turns: most of its fuel: \w+ [\d.]+ %/]) assert.match(stdout, line);
  const [{ name, play }] = chorus(folder, "test", "--runs", "20", "--json").stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(name, "random play of turns");
  assert.deepEqual([play.kind, play.runs, play.seed, play.never], ["turns", 20, 1, { accepted: ["move", "show", "never"], fired: ["turn", "later"], answered: [] }]);
  assert.equal(play.messages.move.accepted, 0);
});

test("a test reads what the last call has used of its budget", async () => {
  const room = await createRoom(written("static config = { budget: { fuelPerMessage: 1_000_000 } }; messages = { work: (_, n) => { for (let i = 0; i < n; i++); }, fail: () => { for (let i = 0; i < 1_000; i++); null.x; } }; timers = { t: () => {} }; onJoin() { this.schedule.after(1_000, 't'); }"));
  const ana = await room.join("Ana");
  assert.equal(room.lastCall.handler, "onJoin");
  await ana.send("work", 1_000);
  const { handler, fuel, limit, share } = room.lastCall;
  assert.deepEqual([handler, share], ["messages.work", fuel / limit]);
  assert.ok(fuel >= 100_000 && fuel < 300_000 && limit >= 1_000_000 && limit < 1_100_000, `${fuel} of ${limit}`);
  await assert.rejects(ana.send("fail"), { code: "fault" });
  assert.ok(room.lastCall.handler === "messages.fail" && room.lastCall.fuel >= 100_000);
  await assert.rejects(ana.send("work", 1e9), { code: "too_costly" });
  assert.ok(room.lastCall.share >= 1, JSON.stringify(room.lastCall));
  await room.advance(1_000);
  assert.deepEqual([room.lastCall.handler, room.lastCall.limit], ["timers.t", 300_000_000]);
});

const FINDER = `state = { seen: [], pending: 0 };
  messages = { look: () => { if (this.state.pending > 3) this.refuse("wait"); this.state.pending += 1; this.rooms.find("table", { level: 3 }, "tables"); } };
  answers = { tables: ({ rooms, error }) => { this.state.pending -= 1; PLACE } };`;

test("half of the searches find rooms that fit, others fail or have no answer in time", async () => {
  const counted = written(FINDER.replace("PLACE", 'this.state.seen.push(error ?? rooms); if (this.state.seen.length > 5) this.state.seen.shift();'));
  const seen = { rooms: 0, none: 0, failed: 0, late: 0 };
  const plan = {
    messages: { look: null }, repetitions: 0, metadata: (random) => ({ open: random.bool() }),
    invariants: {
      "what is found fits": ({ state }, before) => {
        const last = state.seen.at(-1);
        if (last === undefined || JSON.stringify(state.seen) === JSON.stringify(before.state.seen)) return;
        if (typeof last === "string") return void (seen[/no answer/.test(last) ? "late" : "failed"] += 1);
        seen[last.length === 0 ? "none" : "rooms"] += 1;
        for (const { id, kind, members, metadata } of last) assert.ok(/^[0-9a-f]{32}$/.test(id) && kind === "table" && members >= 0 && metadata.level === 3 && "open" in metadata);
      },
    },
  };
  const { failure, reached } = await playKind(counted, plan, { runs: 100, seed: 1 });
  assert.equal(failure, undefined, failure?.message);
  const all = seen.rooms + seen.none + seen.failed + seen.late, share = (seen.rooms + seen.none) / all;
  assert.ok(share > 0.4 && share < 0.6 && seen.rooms > 0 && seen.none > 0 && seen.failed > 0 && seen.late > 0, JSON.stringify(seen));
  assert.ok(reached.toJSON().answers.tables >= all);
});

test("what a search needs to fail is made short", async () => {
  const where = written(FINDER.replace("PLACE", 'if (rooms.length > 1) throw new Error("two tables");'));
  const { failure } = await playKind(where, { messages: { look: null }, repetitions: 0 }, { runs: 300, seed: 1 });
  assert.deepEqual(failure.steps.map((step) => step.do), ["join", "send", "answer"], failure.story);
  assert.equal(failure.steps[2].rooms.length, 2);
  assert.match(failure.story, /await room\.answer\(\{ rooms: \[\{ id: "[0-9a-f]{32}", kind: "table", /);
  const late = written(FINDER.replace("PLACE", 'if (/cannot list/.test(error)) throw new Error("not listed");'));
  const other = await playKind(late, { messages: { look: null }, repetitions: 0 }, { runs: 300, seed: 1 });
  assert.match(other.failure.story, /await room\.answer\(\{ error: "the server cannot list its rooms" \}\)/);
});

const LARGE = 'state = { lines: [] }; messages = { fill: (_, n) => { this.state.lines = ["é".repeat(n)]; } };';
const WARNING = /^large: a view has 1\d\d KiB\. One of more than 128 KiB is sent whole at each change/;

test("a view that is sent whole is a warning, once for a kind, of stories, of random play and of chorus check", () => {
  const story = 'import { test } from "node:test";\nimport { createRoom, play } from "chorus-rooms/test";\ntest("it is large", async () => { const ana = await (await createRoom("large")).join("Ana"); await ana.send("fill", 66_000); await ana.send("fill", 70_000); });\n';
  const played = 'play("large", { messages: { fill: (random) => 69_000 }, junk: false, repetitions: 0 });\n';
  const small = story.replaceAll("large", "small").replace("66_000", "60_000").replace("70_000", "61_000");
  const folder = project({
    "rooms/large/index.js": roomOf(LARGE), "rooms/small/index.js": roomOf(LARGE),
    "test/a.test.js": story, "test/b.test.js": story.replace("it is large", "again") + played,
    "test/c.test.js": `${small}play("small", { messages: { fill: 0 }, junk: false, repetitions: 0 });\n`,
  });
  const { stdout, stderr, status } = chorus(folder, "test", "--runs", "5", "--json");
  assert.equal(status, 0, stdout);
  const { warnings } = JSON.parse(stdout.trim().split("\n").at(-1));
  assert.equal(warnings.length, 1, warnings.join("\n"));
  assert.match(warnings[0], WARNING);
  assert.equal(stderr.split("a view has").length, 2, stderr);
  const always = project({ "rooms/large/index.js": roomOf('state = { text: "x".repeat(140_000) };') });
  const [line] = chorus(always, "check", "--runs", "1", "--json").stdout.trim().split("\n").map((one) => JSON.parse(one));
  assert.equal(line.ok, true, JSON.stringify(line.errors));
  assert.match(line.warnings[0], WARNING);
  assert.match(chorus(always, "check", "--runs", "1").stderr, /warning: large: a view has 137 KiB/);
});
