// What a test of rooms imports: `import { createRoom, play } from "chorus-rooms/test"`. See docs/testing.md.

import { appendFileSync } from "node:fs";
import { test } from "node:test";

import { declareInvariants, guestId } from "./invariants.mjs";
import { componentOf } from "./project.mjs";
import { playRandomly } from "./random-play.mjs";
import { linesOf } from "./reached.mjs";
import { NAMES } from "./steps.mjs";
import { createRoom, TestPlayer, TestRoom } from "./test-room.mjs";
import { noteView } from "./view-sizes.mjs";
import { Broken, LOBBY, RoomError, roomNamed } from "./virtual-room.mjs";

export { Broken, createRoom, guestId, LOBBY, RoomError, roomNamed, TestPlayer, TestRoom };

const RUNS = 100, SEED = 1;
const KEYS = ["create", "join", "messages", "receive", "childEnds", "metadata", "invariants", "players", "tabs", "steps", "repetitions", "junk", "grows", "maxKiB", "ticksWhenEmpty"];

/**
 * Declares how a kind is played at random, and what must be true of it: a test of its own, under Node's test runner. The number of runs
 * and the seed are those of `chorus test --runs N --seed N`.
 */
export function play(kind, plan = {}) {
  const known = planOf(kind, plan);
  declareInvariants(known.kind, plan.invariants ?? {});
  notePlayed(known.kind);
  test(`random play of ${known.kind}`, async (t) => {
    const { runs, steps, reached, failure } = await playKind(kind, plan);
    const played = { kind: known.kind, runs, steps, seed: seed(), ...reached.toJSON() };
    note(process.env.CHORUS_TEST_REACHED, played);
    noteView(known.kind, reached.view);
    if (failure !== undefined) throw new PlayError(textOf(known.kind, failure));
    t.diagnostic(`${known.kind}: ${runs} runs, ${steps} steps, seed ${seed()}`);
    for (const line of linesOf(played)) t.diagnostic(`${known.kind}: ${line}`);
  });
}

/** As `play`, without a test: resolves with `{ runs, steps, reached, failure? }`. */
export async function playKind(kind, plan = {}, given = {}) {
  return playRandomly(await componentOf(kind), planOf(kind, plan), { runs: given.runs ?? number("CHORUS_TEST_RUNS") ?? RUNS, seed: given.seed ?? seed() });
}

function planOf(kind, plan) {
  const unknown = Object.keys(plan).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new TypeError(`play: there is no ${JSON.stringify(unknown)}; there are: ${KEYS.join(", ")}`);
  if (plan.players !== undefined && !(plan.players >= 1 && plan.players <= NAMES.length)) throw new TypeError(`play: players is 1 to ${NAMES.length}, not ${plan.players}`);
  const name = String(kind).replace(/[\\/](index\.\w+)?$/, "").split(/[\\/]/).at(-1).replace(/\.m?[jt]s$/, "");
  return { ...plan, kind: name, invariants: Object.entries(plan.invariants ?? {}) };
}

/** A failed play. Its text is all that a reader needs, so it has no stack. */
export class PlayError extends Error {
  constructor(message) {
    super(message);
    this.stack = message;
  }

  /** Not a property of its own: Node's reporter would print it after the text. */
  get name() { return "PlayError"; }
}

export function textOf(kind, { run, message, steps, found, story }) {
  const indented = story.split("\n").map((line) => `    ${line}`).join("\n");
  const count = `${steps.length} ${steps.length === 1 ? "step" : "steps"} of ${found}`;
  const parts = [`${kind}, run ${run}: ${message}`, `  The shortest way there: ${count}. As a test, in the file of its \`play\`:`, indented];
  return `${parts.join("\n\n")}\n\n  Again: chorus test --runs ${run} --seed ${seed()}\n`;
}

function seed() { return number("CHORUS_TEST_SEED") ?? SEED; }

function number(name) {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
}

/** A line for `chorus test`. */
function note(file, value) {
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(value)}\n`);
}

/** `chorus test` plays the kinds that no file has a `play` for. */
function notePlayed(kind) {
  if (process.env.CHORUS_TEST_PLAYED) appendFileSync(process.env.CHORUS_TEST_PLAYED, `${kind}\n`);
}
