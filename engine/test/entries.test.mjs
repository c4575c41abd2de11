// Several entries in one call: each has the outcome that it has in a call of its own, by the engine and by the SDK in Node.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Script, createContext } from "node:vm";

import { LIMIT, entry, event, outcomesOf } from "../../guests/build/contract.mjs";
import { guestOf } from "../../guests/build/run.mjs";
import { ANA, BEA, HASH_SEED, built } from "./room.mjs";

const BODY = `
  state = { n: 0 };
  messages = {
    add: (player, by) => { this.state.n += by; player.data.last = by; calls += 1; this.broadcast('added', by); return [this.state.n, calls]; },
    no: () => { this.state.n = 99; this.lock(); this.refuse('not now'); },
    oops: () => { this.state.n = 99; this.log.warn('seen'); throw new Error('oops'); },
    dice: () => [this.random.int(1000), this.now()],
  };`;
const TOP = "let calls = 0;";
const NOW = 1_700_000_000_000;

const header = (n) => ({ now: NOW + n, chance: n.toString(16).padStart(64, "0"), limit: LIMIT });

/** Makes fresh instances of the room: `engine` or `reference`. */
async function guests() {
  const { memory, script } = await built(BODY, TOP);
  const program = new Script(`${script}\nguest;`);
  return {
    engine: () => guestOf(memory),
    reference: () => program.runInContext(createContext({ TextEncoder, TextDecoder })),
  };
}

function opening() {
  const member = (session) => ({ session, player: session, name: "x", connected: true, spectator: false });
  const room = { id: "f".repeat(32), kind: "test", now: NOW, chance: "0".repeat(64), hashSeed: HASH_SEED, members: [ANA, BEA].map(member), timers: [], locked: false };
  return [entry("open", LIMIT, 1, "", JSON.stringify(room)), event(header(1), "create", "{}")];
}

const MESSAGES = [
  event(header(2), "message", ANA, "add", "1"),
  event(header(3), "message", BEA, "no", "null"),
  event(header(4), "message", BEA, "add", "2"),
  entry("save"),
  event(header(5), "drop", BEA),
  event(header(6), "message", ANA, "dice", "null"),
  event(header(7), "message", ANA, "add", "3"),
  entry("save"),
];

const THROWS = event(header(8), "message", ANA, "oops", "null");

for (const which of ["engine", "reference"]) {
  test(`${which}: entries have the same outcomes together as one by one`, async () => {
    const make = (await guests())[which];
    const [one, together] = [make(), make()];
    const apart = [...opening(), ...MESSAGES].map((bytes) => Buffer.from(one.call(bytes)));
    const answer = together.call(new Uint8Array(Buffer.concat([...opening(), ...MESSAGES])));
    assert.deepEqual(Buffer.from(answer), Buffer.concat(apart));
    const outcomes = outcomesOf(answer);
    assert.equal(outcomes.length, 10);
    assert.deepEqual(outcomes[2].done.at(-1), ["reply", "[1,1]"]);
    assert.deepEqual(outcomes[3].done, [["refuse", "not now"]]);
    assert.deepEqual(outcomes.at(-1).saved, `{"state":{"n":6},"data":{"${ANA}":{"last":3},"${BEA}":{"last":2}}}`);
  });

  test(`${which}: the first entry that throws is the last that is carried out`, async () => {
    const guest = (await guests())[which]();
    const outcomes = outcomesOf(guest.call(new Uint8Array(Buffer.concat([...opening(), MESSAGES[0], THROWS, ...MESSAGES]))));
    assert.equal(outcomes.length, 4);
    assert.deepEqual(outcomes[2].done.at(-1), ["reply", "[1,1]"]);
    assert.match(outcomes[3].threw, /^Error: oops/);
    assert.deepEqual(outcomes[3].log, [["log", 2, "seen"]]);
  });
}

test("each entry has a limit of its own, and the first that exhausts it is the last that is carried out", async () => {
  const { engine } = await guests();
  const guest = engine();
  const [{ used }] = outcomesOf(guest.call(new Uint8Array(Buffer.concat([...opening(), MESSAGES[0]])))).slice(-1);
  const limited = (n, limit) => event({ ...header(n), limit }, "message", ANA, "add", "1");
  const entries = [limited(2, used + 1), limited(3, used + 1), limited(4, used), limited(5, LIMIT)];
  const outcomes = outcomesOf(guest.call(new Uint8Array(Buffer.concat(entries))));
  assert.deepEqual(outcomes.slice(0, 2).map(({ done, used }) => [done.at(-1), used]), [[["reply", "[2,1]"], used], [["reply", "[3,1]"], used]]);
  assert.deepEqual(outcomes.slice(2), [{ used, exhausted: [] }]);
});

test("an input without entries has an answer without outcomes", async () => {
  const { engine, reference } = await guests();
  for (const guest of [engine(), reference()]) assert.equal(guest.call(new Uint8Array(0)).length, 0);
});
