// Random documents by a seed.

export class Dice {
  #state;

  constructor(seed) { this.#state = seed >>> 0; }

  /** 32 random bits (mulberry32). */
  bits() {
    let t = (this.#state = (this.#state + 0x6d2b79f5) >>> 0);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  int(n) { return this.bits() % n; }
  pick(list) { return list[this.int(list.length)]; }

  /** Any finite double. */
  double() {
    const kind = this.int(5);
    if (kind === 0) return this.int(2000) - 1000;
    if (kind === 1) return (this.int(2_000_001) - 1_000_000) / this.pick([1, 10, 100, 1000, 3, 7]);
    if (kind === 2) return this.bits() * this.pick([1, 2 ** 21, 2 ** 31, 1e10, -1]) + this.int(3);
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, this.bits());
    view.setUint32(4, this.bits());
    const double = view.getFloat64(0);
    return Number.isFinite(double) ? double : 0.5;
  }

  /** A unit of UTF-16, halves of surrogate pairs among them. */
  unit() {
    return this.pick([() => this.int(0x80), () => this.int(0x20), () => 0x22, () => 0x5c, () => this.int(0x800), () => this.int(0x10000), () => 0xd800 + this.int(0x800), () => 0x61 + this.int(26), () => 0x61 + this.int(26)])();
  }

  text(most) {
    let text = "";
    for (let length = this.int(most); text.length < length;) text += String.fromCodePoint(this.pick([0x61 + this.int(26), 0x61 + this.int(26), this.int(0x80), this.int(0xd800), 0x1f600 + this.int(50)]));
    return text;
  }

  /** A key: words, numbers, and names that objects have. */
  key() { return this.pick([() => this.text(8), () => `${this.int(40)}`, () => this.pick(["constructor", "toString", "length", "a", "b", "c", "__proto__", "4294967294", "4294967295", "-1", "01"])])(); }

  value(depth) {
    const kind = this.int(depth > 0 ? 9 : 6);
    if (kind === 0) return null;
    if (kind === 1) return this.int(2) === 0;
    if (kind <= 3) return this.double();
    if (kind <= 5) return this.text(24);
    if (kind === 6) return Array.from({ length: this.int(6) }, () => this.value(depth - 1));
    const entries = Array.from({ length: this.int(6) }, () => [this.key(), this.value(depth - 1)]);
    const object = {};
    for (const [key, value] of entries) Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
    return object;
  }

  json(depth) { return JSON.stringify(this.value(depth)); }
}
