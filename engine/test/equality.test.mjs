// Random calls of guests, by the engine and by the SDK in Node: the same texts, and the same saved state.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { Script, createContext } from "node:vm";

import { bundle } from "../../guests/build/bundle.mjs";
import { oneByOne } from "../../guests/build/contract.mjs";
import { snapshot } from "../../guests/build/engine.mjs";
import { guestOf } from "../../guests/build/run.mjs";
import { DATE } from "../../guests/test/clock.mjs";
import { Dice } from "./dice.mjs";
import { GUESTS_AND_OPTIONS, KINDS, Play } from "./play.mjs";

const GUESTS = fileURLToPath(new URL("../../guests/", import.meta.url));
const CALLS = Number(process.env.CHORUS_TEST_CALLS ?? 400);

/** Both of them, in a random play. */
class Both extends Play {
  #memory; #script; #inexact;

  constructor({ guest, script }, dice, inexact) {
    super(dice);
    this.#inexact = inexact;
    this.#memory = snapshot(guest);
    this.#script = new Script(`${script}\nguest;`);
    this.open();
    this.manifest = JSON.parse(JSON.stringify(this.engine.describe()));
    assert.deepEqual(this.manifest, JSON.parse(JSON.stringify(this.reference.describe())));
  }

  /** New instances of both, from what they saved last. */
  open() {
    const context = createContext({ clock: this.clock, TextEncoder, TextDecoder });
    new Script(DATE).runInContext(context);
    this.reference = oneByOne(this.#script.runInContext(context));
    this.engine = oneByOne(guestOf(this.#memory));
    const info = this.info();
    const opened = [this.engine, this.reference].map((guest) => guest.open(info, this.manifest?.stateVersion ?? 0, this.saved ?? ""));
    assert.deepEqual(opened[0], opened[1], "open");
  }

  deliver(header, event, fields) {
    const [ours, theirs] = [this.engine, this.reference].map((guest) => guest.handle(header, event, ...fields));
    const shown = `${event} ${JSON.stringify(fields).slice(0, 200)}`;
    if (ours.threw !== undefined || theirs.threw !== undefined) {
      const [mine, its] = [ours, theirs].map(({ threw = "nothing was thrown" }) => (this.#inexact ? words(threw).replace(/\d+/g, "N") : words(threw)));
      assert.equal(mine, its, shown);
      assert.deepEqual(ours.log, theirs.log, shown);
      return undefined;
    }
    if (!isDeepStrictEqual(ours.done, theirs.done)) this.#same(JSON.stringify(ours.done), JSON.stringify(theirs.done), shown);
    this.saved = this.engine.save().saved;
    this.#same(this.saved, this.reference.save().saved, shown);
    return ours.done;
  }

  /** Fails with the place of the first difference. */
  #same(ours, theirs, shown) {
    if (this.#inexact) [ours, theirs] = [rounded(ours), rounded(theirs)];
    if (ours === theirs) return;
    let at = 0;
    while (ours[at] === theirs[at]) at++;
    assert.fail(`${shown}\n${ours.slice(Math.max(0, at - 80), at + 80)}\n${theirs.slice(Math.max(0, at - 80), at + 80)}`);
  }
}

/** Numbers to 12 digits: the two have different libraries of mathematics. */
function rounded(text) { return text.replace(/\d\.\d{10,}(e[+-]\d+)?/g, (number) => Number(number).toPrecision(12)); }

/** An error's first line; the places after it are those of two bundles. An error that an engine itself has thrown has its own words. */
function words(text) {
  const [line] = text.split("\n");
  return /cannot read|is not a function|not iterable|is not defined|JSON|[Uu]nexpected|destructur|properties of|Cannot|circular|rimitive/.test(line) ? line.split(":")[0] : line;
}

for (const [name, all] of Object.entries(GUESTS_AND_OPTIONS)) {
  test(`${name}: ${CALLS} random calls`, async () => {
    const file = name.endsWith(".js") ? name : `${name}/index.js`;
    const bundled = await bundle(`${GUESTS}${file}`, undefined, KINDS);
    for (const [seed, options] of all.entries()) {
      const both = new Both(bundled, new Dice(seed + Number(process.env.CHORUS_TEST_SEED ?? 1)), name === "fixtures/random-documents.js");
      both.handle("create", options);
      for (let i = 0; i < CALLS; i++) both.step();
    }
  });
}
