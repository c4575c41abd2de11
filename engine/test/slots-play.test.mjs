// Random calls of several rooms in one instance, in turn: each answers as in an instance of its own, byte by byte. Now and then one
// is closed, and another one is opened in its slot.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cell, SlotPlay, sharedGuest } from "./cell.mjs";
import { Dice } from "./dice.mjs";
import { GUESTS_AND_OPTIONS, KINDS } from "./play.mjs";

const CALLS = Number(process.env.CHORUS_TEST_CALLS ?? 400);
const SEED = Number(process.env.CHORUS_TEST_SEED ?? 1);
const SHARE = 4;

for (const [name, options] of Object.entries(GUESTS_AND_OPTIONS)) {
  test(`${name}: ${CALLS} random calls in ${SHARE} slots`, async () => {
    const dice = new Dice(SEED), cell = new Cell(await sharedGuest(name.endsWith(".js") ? name : `${name}/index.js`, SHARE, KINDS));
    const play = (slot) => new SlotPlay(cell, slot, new Dice(dice.bits()), dice.pick(options));
    const plays = Array.from({ length: SHARE }, (_, slot) => play(slot));
    for (let i = 0; i < CALLS; i++) {
      const slot = dice.int(SHARE);
      if (dice.int(50) === 0) plays[slot] = play(slot);
      else plays[slot].step();
      if (dice.int(20) === 0) cell.collect();
    }
    assert.ok(plays.some(({ saved }) => saved !== undefined));
  });
}
