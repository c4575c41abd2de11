/** Random numbers from a seed: the same words give the same numbers. (mulberry32 over FNV-1a.) */

export function random(...words) {
  let state = 2166136261;
  for (const character of words.join("/")) state = Math.imul(state ^ character.codePointAt(0), 16777619);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    /** True with this probability. */
    happens: (chance) => next() < chance,
    /** A number from `low` to below `high`. */
    between: (low, high) => low + next() * (high - low),
    pick: (list) => list[Math.floor(next() * list.length)],
  };
}
