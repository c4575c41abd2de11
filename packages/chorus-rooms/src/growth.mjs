// Whether a room grows with each repetition of the same.
//
// The sizes at half, at three quarters and at the end of the repetitions lie on a line, if something is added each time and never removed.
// A list with a limit bends: the first half of the repetitions is there to fill it, and what it adds hides nothing that grows beside it. A
// number that gets longer by a digit is no growth.

/** Sizes are sampled from this many repetitions on. */
export const LEAST_REPETITIONS = 16;
/** How much of the growth of the third quarter the last one has at least. */
const LINEAR = 0.75;
/** Characters that each repetition adds at least. */
const EACH = 0.9;
/** A part of the state is named if it has at least this much of the growth. */
const MOST = 0.75;

export class Growth {
  #times; #sizes = []; #half;

  /** `times`: how many repetitions there will be at most. */
  constructor(times) { this.#times = times; }

  /** After each repetition. */
  add({ sizes, savedText }) {
    this.#sizes.push(sizes);
    if (this.#sizes.length === this.#times >> 1) this.#half = savedText;
  }

  /** What grows, as a text; undefined if nothing does. */
  found({ savedText }) {
    const { length } = this.#sizes;
    if (length < LEAST_REPETITIONS) return undefined;
    for (const part of ["state", "view"]) {
      const at = (share) => this.#sizes[Math.floor((length - 1) * share)][part];
      const third = at(0.75) - at(0.5), last = at(1) - at(0.75);
      const each = (third + last) / (length / 2);
      if (each < EACH || last < LINEAR * third) continue;
      const where = part === "state" && this.#half !== undefined ? placeOf(JSON.parse(this.#half), JSON.parse(savedText)) : undefined;
      const what = part === "state" ? `this.state (with the players' data)` : "a view", most = where === undefined ? "" : `, most of it in ${where}`;
      return `${what} grows by ${each.toFixed(0)} characters with each of ${length} repetitions, from ${at(0)} to ${at(1)}${most}: what is kept for ever must be bounded`;
    }
    return undefined;
  }
}

/** The part of a saved room that has most of the growth, as its author has it: `this.state.lines`. */
function placeOf(before, after) {
  const [root, ...path] = mostOf(before, after);
  const inside = (names) => names.map((name) => (/^[a-z_$][\w$]*$/i.test(name) ? `.${name}` : `[${/^\d+$/.test(name) ? name : JSON.stringify(name)}]`)).join("");
  if (root === "state" && path.length > 0) return `this.state${inside(path)}`;
  // The data of a member is below its session.
  return root === "data" && path.length > 0 ? `player.data${inside(path.slice(1))}` : undefined;
}

function mostOf(before, after, path = []) {
  if (!isTree(before) || !isTree(after)) return path;
  const all = sizeOf(after) - sizeOf(before);
  const name = Object.keys(after).find((key) => Object.hasOwn(before, key) && sizeOf(after[key]) - sizeOf(before[key]) >= MOST * all);
  return name === undefined ? path : mostOf(before[name], after[name], [...path, name]);
}

function isTree(value) { return typeof value === "object" && value !== null; }
function sizeOf(value) { return JSON.stringify(value).length; }
