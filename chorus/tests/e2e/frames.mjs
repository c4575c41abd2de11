/** Random client frames from a seed: legal ones, nearly legal ones, and ones that are expensive to parse. */

const MAX_FRAME = 65_536;

const NUMBERS = [
  "0", "-0", "1", "-1", "0.1", "1E+2", "1e-7", "5e-324", "1.7976931348623157e308", "1e999", "-1e999", "1e-999",
  "9007199254740991", "9007199254740993", "4294967295", "4294967296", "2147483648", "-2147483649",
  "9".repeat(400), `0.${"3".repeat(400)}`, `${"1".repeat(300)}e-300`,
];

/** Texts that are not JSON, but that a lax parser may accept. */
const NO_SCALARS = ["00", "1.", ".5", "+1", "NaN", "Infinity", "0x10", "1_000", "nul", "undefined", '"\\x41"', '"\\u12"', '"\t"', "'a'", "//"];

/** Strings as they are written between the quotes in JSON. */
const STRINGS = [
  "", "a", "Ana", "tic-tac-toe", "lobby", "__proto__", "constructor", "toString", "valueOf", "then", "length", "hasOwnProperty", "toJSON", "prototype",
  "0", "1", "-1", "4294967295", "4294967294", "1e3", " ", "\\u0000", "\\u0000a", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "😀", "é", "e\\u0301",
  "\\u2028", "\\u202e", "\\ufeff", "\\\\", "\\\"", "\\n\\r\\t\\b\\f", "\\/", "~0~1/~", "/a/b", "߿￿", "👨‍👩‍👧‍👦", "%s%n", "${this}", "<script>",
];

const TYPES = [
  "echo", "echo", "echo", "say", "keep", "keep", "name", "tell", "joinOrCreate", "create", "join", "find", "look", "games", "watch", "cancel", "move", "rematch", "leave", "enter", "home",
  "", "dance", "__proto__", "constructor", "toString", "onJoin", "x".repeat(64), "x".repeat(65), "é".repeat(32), "é".repeat(33), "😀".repeat(16), "😀".repeat(17),
  "\\u0000", "\\ud83d", "then", "x".repeat(10_000),
];

export class Frames {
  #id = 0;

  /** `dice` is of `random.mjs`; `rooms` returns ids of rooms that the client has seen. */
  constructor(dice, rooms = () => []) {
    Object.assign(this, { dice, rooms });
  }

  /** Returns a text, or a `Buffer` for a binary frame. */
  next() {
    const { dice } = this;
    if (dice.happens(0.01)) return Buffer.from(this.#text(), "utf8");
    if (dice.happens(0.04)) return this.#garbage();
    const text = dice.happens(0.92) ? this.#message() : this.#other();
    // Sometimes a piece of the text is dropped, doubled or changed.
    return dice.happens(0.05) ? this.#broken(text) : text;
  }

  /** A `hello` with random members. */
  hello(resume) {
    const { dice } = this;
    const members = [`"t":"hello"`];
    if (resume && dice.happens(0.9)) members.push(`"resume":${JSON.stringify(resume)}`);
    else members.push(`"name":"${dice.happens(0.7) ? "Mallory" : dice.pick(STRINGS)}"`);
    if (resume && dice.happens(0.6)) members.push(`"last":${this.#last()}`);
    if (dice.happens(0.05)) members.push(`${this.#string()}:${this.#value(2)}`);
    return `{${members.join(",")}}`;
  }

  #message() {
    const { dice } = this;
    const id = dice.happens(0.97) ? String(++this.#id) : dice.pick([...NUMBERS, `"${this.#id}"`, "null", String(Math.max(1, this.#id - 2))]);
    const members = [`"t":"msg"`, `"id":${id}`, `"type":"${dice.pick(TYPES)}"`];
    if (dice.happens(0.95)) members.push(`"data":${this.#data()}`);
    if (dice.happens(0.1)) members.push(`"room":${dice.pick([...this.rooms().map((room) => `"${room}"`), `"${"f".repeat(32)}"`, '"lobby"', "null", "5", this.#string()])}`);
    if (dice.happens(0.03)) members.push(dice.pick(members));
    if (dice.happens(0.03)) members.push(`${this.#string()}:${this.#value(3)}`);
    if (dice.happens(0.2)) members.reverse();
    return `{${members.join(dice.happens(0.1) ? " ,\n\t" : ",")}}`;
  }

  #other() {
    const { dice } = this;
    const kinds = ["hello", "welcome", "room", "event", "reply", "error", "ping", "close", "__proto__", ""];
    return dice.pick([() => `{"t":"${dice.pick(kinds)}","id":${dice.pick(NUMBERS)}}`, () => this.hello("x"), () => this.#value(3), () => `{"t":${this.#value(2)}}`])();
  }

  #garbage() {
    const { dice } = this;
    return dice.pick(["", "{", "[", "null", '"', "{}{}", " ".repeat(1000), "[".repeat(30_000), '{"a":'.repeat(10_000), "\u0000", "\ufeff{}", `{"t":"msg","data":"${"x".repeat(60_000)}`]);
  }

  #broken(text) {
    const at = Math.floor(this.dice.between(0, text.length));
    const length = Math.ceil(this.dice.between(0, 5));
    const [before, piece, after] = [text.slice(0, at), text.slice(at, at + length), text.slice(at + length)];
    return this.dice.pick([before, before + after, before + piece + piece + after, `${before}${this.dice.pick(['"', "{", "}", "\\", "0", ","])}${after}`]).toWellFormed?.() ?? before;
  }

  #data() {
    const { dice } = this;
    const text = dice.happens(0.6) ? this.#value(5) : this.#shape();
    return text.length < MAX_FRAME - 200 || dice.happens(0.02) ? text : "null";
  }

  /** A value with one property in excess: depth, length, members, names or a number. */
  #shape() {
    const { dice } = this;
    const many = () => dice.pick([10, 100, 500, 1_000, 2_500, 5_000, 12_000]);
    const deep = () => dice.pick([10, 60, 61, 62, 63, 64, 65, 127, 128, 129, 1_000, 30_000]);
    const list = (count, item) => Array.from({ length: count }, (_, n) => item(n)).join(",");
    return dice.pick([
      () => nested("[", "]", deep(), this.#scalar()),
      () => nested('{"a":', "}", Math.min(deep(), 9_000), this.#scalar()),
      () => nested('[{"a":', "}]", Math.min(deep() >> 1, 6_000), this.#scalar()),
      () => `{${list(many(), (n) => `"k${n}":${n % 7}`)}}`,
      () => `{${list(Math.min(many(), 5_000), (n) => `"${colliding(n)}":0`)}}`,
      () => `{${list(many(), (n) => `"${n * 65_536}":0`)}}`,
      () => `{${list(Math.min(many(), 2_500), () => `"same":${this.#scalar()}`)}}`,
      () => `[${list(many(), () => "0")}]`,
      () => `[${list(many(), () => "[]")}]`,
      () => `[${list(many(), () => "{}")}]`,
      () => `[${list(Math.min(many(), 2_500), () => this.#scalar())}]`,
      () => `"${dice.pick(STRINGS).repeat(dice.pick([1, 100, 5_000]))}"`,
      () => dice.pick(NUMBERS).repeat(dice.pick([1, 3])),
      () => `{"kind":${this.#scalar()},"room":${this.#string()},"cell":${this.#scalar()},"key":${this.#string()},"size":${dice.pick(NUMBERS)}}`,
    ])();
  }

  #value(depth) {
    const { dice } = this;
    if (depth === 0 || dice.happens(0.4)) return this.#scalar();
    const items = Array.from({ length: Math.floor(dice.between(0, 5)) }, () => this.#value(depth - 1));
    if (dice.happens(0.4)) return `[${items.join(",")}]`;
    return `{${items.map((item) => `${this.#string()}:${item}`).join(",")}}`;
  }

  #scalar() {
    const { dice } = this;
    if (dice.happens(0.005)) return dice.pick(NO_SCALARS);
    if (dice.happens(0.4)) return dice.pick(NUMBERS);
    return dice.happens(0.7) ? this.#string() : dice.pick(["null", "true", "false"]);
  }

  #string() {
    return `"${this.dice.happens(0.8) ? this.dice.pick(STRINGS) : this.#text()}"`;
  }

  /** Characters from all of Unicode, except those that must be escaped in JSON. */
  #text() {
    const points = Array.from({ length: Math.floor(this.dice.between(0, 12)) }, () => Math.floor(this.dice.between(0x20, this.dice.pick([0x7f, 0x7ff, 0xffff, 0x10ffff]))));
    return points.filter((point) => point < 0xd800 || point > 0xdfff).map((point) => String.fromCodePoint(point)).join("").replace(/["\\]/g, "_");
  }

  #last() {
    const { dice } = this;
    const rooms = [...this.rooms(), "f".repeat(32), "lobby", ""];
    return dice.pick([
      () => `{"${dice.pick(rooms)}":${dice.pick(["0", "1", "5", "9007199254740991", ...NUMBERS])}}`,
      () => `{${Array.from({ length: dice.pick([1, 32, 33, 500]) }, (_, n) => `"${n.toString(16).padStart(32, "0")}":${n}`).join(",")}}`,
      () => this.#value(2),
    ])();
  }
}

function nested(open, close, depth, inner) {
  return open.repeat(depth) + inner + close.repeat(depth);
}

/**
 * The `n`th of a set of names that all have the same hash in QuickJS: it combines characters by `h * 263 + c`, so the pair
 * `(a, b)` has the same hash as `(a - 1, b + 263)`.
 */
export function colliding(n) {
  let name = "";
  for (let pair = 0, rest = n; pair < 4; pair++, rest >>= 4) {
    const by = rest & 15;
    name += String.fromCharCode(0x140 - by, 0x40 + 263 * by);
  }
  return name.replace(/["\\]/g, "_");
}
