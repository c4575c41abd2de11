// Counts the tests in a runner's output. Pure.

/** How many lines of a failed test are shown. */
const REPORT_LINES = 15;

const COLOUR = /\u001b\[[0-9;]*m/g;

/** The sum of all of cargo's test binaries. */
export function countCargo(output) {
  const lines = plain(output).matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed;/gm);
  return [...lines].reduce((sum, [, passed, failed]) => add(sum, { passed: +passed, failed: +failed }), NONE);
}

/** One run of Node's runner. Its output ends with a summary, as `# pass 3` or as `ℹ pass 3`. */
export function countNode(output) {
  const text = plain(output);
  const last = (word) => Number([...text.matchAll(new RegExp(`^(?:#|ℹ) ${word} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
  return { passed: last("pass"), failed: last("fail") + last("cancelled") };
}

/** A program that is one test, which passes when it exits with 0. */
export function countOne(_, code) {
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** A program that is no test, but a preparation for tests. */
export function countNone() {
  return NONE;
}

/**
 * The counts of a step, from the output of each of its commands; `code` is the last one's. A step that fails without a failed test counts
 * as one failure, and so does one that ran no test.
 */
export function stepCounts({ count }, outputs, code) {
  const counted = outputs.map((output) => count(output, code)).reduce(add, NONE);
  if (code !== 0 && counted.failed === 0) return add(counted, ONE_FAILED);
  if (code === 0 && count !== countNone && counted.passed + counted.failed === 0) return ONE_FAILED;
  return counted;
}

export const NONE = { passed: 0, failed: 0 };
const ONE_FAILED = { passed: 0, failed: 1 };

export function add(one, other) {
  return { passed: one.passed + other.passed, failed: one.failed + other.failed };
}

/** The lines that name failures, in the format of either runner, each once. */
export function failures(output) {
  const lines = plain(output).split("\n").map((line) => line.trim());
  const named = lines.filter((line) => /^test .+ \.\.\. FAILED$|^(✖|not ok) |^error(\[\w+\])?: /.test(line));
  return [...new Set(named)].filter((line) => line !== "✖ failing tests:");
}

/**
 * What cargo's failed tests printed, each without its backtrace. Other test binaries run after the one that failed, so that the end of
 * the log rarely has it.
 */
export function reports(output) {
  const found = plain(output).matchAll(/^---- (\S+) stdout ----\n([^]*?)(?=^---- |^failures:$|(?![^]))/gm);
  const short = (text) => text.split(/^stack backtrace:$/m)[0].trim().split("\n").slice(0, REPORT_LINES);
  return [...found].map(([, name, text]) => [name, ...short(text).filter((line) => line.trim() !== "")]);
}

/** The output without colours, and without cargo's progress bar. */
export function plain(output) {
  return output.replace(COLOUR, "").replaceAll("\r", "\n").replace(/^ *Building \[.*\n/gm, "");
}
