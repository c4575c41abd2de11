// Makes a failing run short: steps are left out, and what is left is made simple, for as long as the same rule is broken.
//
// Bounds: a number of trials and a time, since each plays the steps again.

import { NAMES } from "./steps.mjs";
import { playSteps } from "./run.mjs";

const TRIALS = 3_000;
const TIME_MS = 60_000;
/** Repetitions while it is shrunk: enough to see that something grows. The result is checked with all of them. */
const FEW = 24;
const TIMES_MS = [1, 1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 600_000, 3_600_000];

/** The shortest run found that breaks the same rule as `failed`. */
export function shrink(component, plan, failed) {
  const few = failed.steps.map((step) => (step.do === "repeat" ? { ...step, times: Math.min(FEW, step.times) } : step));
  const isFew = few.some((step, at) => step !== failed.steps[at]);
  const search = new Search(component, plan, failed.failure.rule);
  const start = isFew ? search.tried(failed, few) ?? failed : failed;
  let best = search.from(start);
  if (isFew && best.steps.some(({ do: what }) => what === "repeat")) {
    const most = Math.max(...failed.steps.map(({ times = 0 }) => times));
    const whole = best.steps.map((step) => (step.do === "repeat" ? { ...step, times: most } : step));
    best = search.tried(best, whole, true) ?? search.from(failed);
  }
  return best;
}

class Search {
  #component; #plan; #rule; #trials = 0; #until = performance.now() + TIME_MS;

  constructor(component, plan, rule) {
    this.#component = component;
    this.#plan = plan;
    this.#rule = rule;
  }

  /** The run of these steps, if it breaks the same rule. */
  tried({ options, seed }, steps, always = false) {
    if (!always && (this.#trials >= TRIALS || performance.now() > this.#until)) return undefined;
    this.#trials += 1;
    const run = playSteps(this.#component, this.#plan, { options, seed }, steps);
    return run.failure?.rule === this.#rule ? run : undefined;
  }

  from(start) {
    let best = start;
    for (;;) {
      const before = sizeOf(best);
      best = this.#without(best);
      best = this.#simpler(best);
      if (sizeOf(best) >= before) return best;
    }
  }

  /** Leaves out steps: first half of them at once, at last one by one. */
  #without(run) {
    let best = run;
    for (let chunk = Math.max(1, best.steps.length >> 1); ; chunk = chunk >> 1) {
      for (let at = best.steps.length - chunk; at >= 0; at -= chunk) {
        const shorter = this.tried(best, best.steps.toSpliced(at, chunk));
        if (shorter !== undefined && shorter.steps.length < best.steps.length) best = shorter;
        at = Math.min(at, best.steps.length);
      }
      if (chunk <= 1) return best;
    }
  }

  #simpler(run) {
    let best = run;
    const take = (steps, of = best) => {
      const found = this.tried(of, steps);
      if (found !== undefined && sizeOf(found) < sizeOf(best)) best = found;
    };
    take(best.steps, { ...best, options: {} });
    take(best.steps, { ...best, seed: "" });
    for (let at = 0; at < best.steps.length; at++) {
      for (const step of simplerSteps(best.steps[at])) if (at < best.steps.length) take(best.steps.with(at, step));
    }
    take(renamed(best.steps));
    return best;
  }
}

/** What is simpler has a smaller size: fewer steps first, then shorter ones. */
function sizeOf({ steps, options, seed }) {
  return steps.length * 1e6 + JSON.stringify([steps, options, seed]).length + steps.reduce((sum, { ms = 0 }) => sum + Math.log2(1 + ms) / 100, 0)
    + steps.reduce((sum, { who }) => sum + (who === undefined ? 0 : NAMES.findIndex((name) => who.startsWith(name.toLowerCase())) / 10), 0);
}

function* simplerSteps(step) {
  if (step.do === "advance") for (const ms of TIMES_MS) if (ms < step.ms) yield { ...step, ms };
  if (step.do === "join" && step.options !== undefined) yield { do: "join", who: step.who };
  if (step.do === "send" || step.do === "receive") for (const data of simplerData(step.data)) yield { ...step, data };
  if (step.do === "repeat" && step.of.do !== "visit") yield step.of;
  if (step.do === "repeat") for (const times of [1, 2, 5, 10]) if (times < step.times) yield { ...step, times };
  if (step.do === "repeat" && step.of.do === "send") for (const data of simplerData(step.of.data)) yield { ...step, of: { ...step.of, data } };
  if (step.do === "childEnds" && step.outcome !== undefined) yield { ...step, outcome: undefined };
}

function* simplerData(data) {
  if (data !== null) yield null;
  if (typeof data === "string") yield* data.length > 1 ? ["", "a", data.slice(0, data.length >> 1)] : [];
  if (typeof data === "number") yield* [0, 1, Math.trunc(data)].filter((n) => n !== data);
  if (typeof data !== "object" || data === null) return;
  if (Array.isArray(data)) {
    for (let at = 0; at < data.length; at++) yield data.toSpliced(at, 1);
    for (let at = 0; at < data.length; at++) for (const part of simplerData(data[at])) yield data.with(at, part);
    return;
  }
  for (const name of Object.keys(data)) {
    const { [name]: part, ...others } = data;
    yield others;
    for (const simple of simplerData(part)) yield { ...data, [name]: simple };
  }
}

/** The same steps by the first names and sessions, in the order of their appearance. */
function renamed(steps) {
  const names = new Map(), tabs = new Map();
  const rename = (who) => {
    const [, name] = /^([a-z]+)\d*$/.exec(who);
    if (!names.has(name)) names.set(name, NAMES[names.size].toLowerCase());
    const own = tabs.get(name) ?? tabs.set(name, []).get(name);
    if (!own.includes(who)) own.push(who);
    const tab = own.indexOf(who) + 1;
    return `${names.get(name)}${tab === 1 ? "" : tab}`;
  };
  return steps.map((step) => {
    const again = step.who === undefined ? step : { ...step, who: rename(step.who) };
    return again.of?.who === undefined ? again : { ...again, of: { ...again.of, who: rename(again.of.who) } };
  });
}
