// Whether a room grows with each repetition of the same.
//
// The sizes at a quarter, at half and at the end of the repetitions lie on a line, if something is added each time and never removed. A
// list with a limit bends; then the repetitions were enough to see the limit. A number that gets longer by a digit is no growth.

/** Sizes are sampled from this many repetitions on. */
export const LEAST_REPETITIONS = 16;
/** How much of the growth of the first half the second one has at least. */
const LINEAR = 0.75;
/** Characters that each repetition adds at least. */
const EACH = 0.9;

/** What grows, as a text; undefined if nothing does. `sizes`: `{ state, view }` after each repetition. */
export function growthIn(sizes) {
  if (sizes.length < LEAST_REPETITIONS) return undefined;
  for (const part of ["state", "view"]) {
    const at = (share) => sizes[Math.floor((sizes.length - 1) * share)][part];
    const first = at(0.5) - at(0), second = at(1) - at(0.5);
    const each = second / (sizes.length / 2);
    if (each >= EACH && second >= LINEAR * first) {
      const what = part === "state" ? "this.state (with the players' data)" : "a view";
      return `${what} grows by ${each.toFixed(0)} characters with each of ${sizes.length} repetitions, from ${at(0)} to ${at(1)}: what is kept for ever must be bounded`;
    }
  }
  return undefined;
}
