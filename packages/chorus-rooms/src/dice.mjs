// Random choices by a seed: the same seed, the same choices, on every machine.

/** sfc32 by Chris Doty-Humphrey, as in PractRand. */
export class Dice {
  #a = 0x9e3779b9; #b = 0x243f6a88; #c = 0xb7e15162; #n = 1;

  constructor(...seeds) {
    for (const char of seeds.join(" ")) {
      this.#a ^= char.codePointAt(0);
      this.#next();
    }
    for (let i = 0; i < 12; i++) this.#next();
  }

  #next() {
    const sum = (this.#a + this.#b + this.#n) | 0;
    this.#n = (this.#n + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** From 0 to below 1. */
  float() { return this.#next() / 2 ** 32; }
  /** A whole number from 0 to below `n`. */
  int(n) { return Math.floor(this.float() * n); }
  /** A whole number from `least` to `most`. */
  between(least, most) { return least + this.int(most - least + 1); }
  bool(chance = 0.5) { return this.float() < chance; }
  /** An item of the list; undefined when it is empty. */
  pick(list) { return list[this.int(list.length)]; }
  shuffle(list) {
    const copy = [...list];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  }
  /** One of `[weight, value]`. */
  weighted(list) {
    let at = this.float() * list.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of list) if ((at -= weight) < 0) return value;
    return list.at(-1)?.[1];
  }
}

const WORDS = ["a", "", "hello", "0", "constructor", "__proto__", "é😀", "x".repeat(300)];
const NAMES = ["id", "text", "name", "to", "at", "n", "value", "room", "player", "cell", "kind"];

/** What a client should send, with one part of it replaced or left out: a room knows its names, and must still check what they have. */
export function spoiled(dice, data) {
  const keys = typeof data === "object" && data !== null ? Object.keys(data) : [];
  if (keys.length === 0) return junk(dice);
  const key = dice.pick(keys);
  if (Array.isArray(data)) return data.with(Number(key), spoiled(dice, data[key]));
  const { [key]: part, ...others } = data;
  return dice.bool(0.2) ? others : { ...data, [key]: spoiled(dice, part) };
}

/** Some JSON, as a client may send it. */
export function junk(dice, depth = 0) {
  switch (dice.int(depth < 2 ? 8 : 5)) {
    case 0: return null;
    case 1: return dice.bool();
    case 2: return dice.pick([0, 1, -1, 0.5, 2, 7, 1e21, -0.1, 4_294_967_296]);
    case 3: return dice.pick(WORDS);
    case 4: return dice.int(10);
    case 5: return Array.from({ length: dice.int(4) }, () => junk(dice, depth + 1));
    default: return Object.fromEntries(Array.from({ length: dice.int(4) }, () => [dice.pick(NAMES), junk(dice, depth + 1)]));
  }
}
