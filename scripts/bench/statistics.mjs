// The arithmetic of the benchmarks. Pure.

/** The middle one; of an even number, the upper of the two. What is not a number does not count. */
export function median(numbers) {
  const sorted = numbers.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.floor(sorted.length / 2)];
}

/** Several measurements of one figure: their median, and how far apart they are. */
export function spread(numbers) {
  const finite = numbers.filter(Number.isFinite);
  return { median: median(finite), least: Math.min(...finite), most: Math.max(...finite), count: finite.length };
}

/** The pairs of two series, divided one by one, so that a disturbance of a round is in both halves of a pair. */
export function ratios(ours, theirs) {
  return ours.map((our, round) => our / theirs[round]);
}

/**
 * The least-squares line through points `[number, size]`: what one more of the number takes (`each`), and the standard error
 * of that. With two points the error is not known.
 */
export function slope(points) {
  const n = points.length;
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / n;
  const [x, y] = [mean(0), mean(1)];
  const sum = (of) => points.reduce((total, point) => total + of(point[0] - x, point[1] - y), 0);
  const squares = sum((dx) => dx * dx);
  const each = sum((dx, dy) => dx * dy) / squares;
  const rest = sum((dx, dy) => (dy - each * dx) ** 2);
  return { each, error: n > 2 ? Math.sqrt(rest / (n - 2) / squares) : NaN, base: y - each * x, points: n };
}

/**
 * What a slope proves: its value if it is above its own error twice, and else only the bound that it is below. So a size
 * never comes out as less than nothing, and noise is not taken for a small size.
 */
export function proven({ each, error }) {
  const bound = Math.max(each, 0) + 2 * error;
  return { resolved: each > 2 * error, value: each, error, bound };
}
