// Makes a failing run short: steps are left out, and what is left is made simple, for as long as the same rule is broken.
//
// Bounds: a number of trials and a time, since each plays the steps again.

import { NAMES } from "./steps.mjs";
import { playSteps } from "./run.mjs";

const TRIALS = 3_000;
/** Each step that is left out gives the room other random numbers. What needs certain ones is looked for with each of these seeds. */
const SEEDS = ["", "1", "2", "3", "4", "5", "6"];
/** A run with more steps than this is not tried by these seeds. */
const SHORT = 24;
const TIME_MS = 60_000;
/** Repetitions while it is shrunk: enough to see that something grows. The result is checked with all of them. */
const FEW = 24;
const HOLD_SECONDS = 60;
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
      best = this.#withOtherChances(best);
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

  /** Leaves out one step, adds two times up, or has one player do what another one does, with the random numbers that this needs. */
  #withOtherChances(run) {
    let best = run;
    if (best.steps.length > SHORT) return best;
    const seeds = this.#dependsOnSeed(best) ? SEEDS : [best.seed];
    const take = (steps) => {
      for (const seed of seeds) {
        const found = this.tried({ ...best, seed }, steps);
        if (found === undefined || found.steps.length >= best.steps.length) continue;
        best = found;
        return;
      }
    };
    for (const [one, other] of pairsOf(handlesOf(best.steps))) {
      const merged = best.steps.map((step) => withHandle(step, (who) => (who === one ? other : who)));
      take(merged);
      take(merged.filter((step) => step.do !== "leave" || step.who !== other));
    }
    for (const first of best.steps.filter(isTime)) {
      const at = best.steps.indexOf(first), second = at < 0 ? undefined : best.steps.slice(at + 1).find(isTime);
      if (second !== undefined) take(withTimesAdded(best.steps, first, second));
    }
    for (let at = best.steps.length - 1; at >= 0; at = Math.min(at, best.steps.length) - 1) {
      const fewer = best.steps.toSpliced(at, 1), last = fewer.at(-1);
      take(fewer);
      if (last?.who !== undefined && at < fewer.length) for (const who of handlesOf(fewer)) if (who !== last.who) take(fewer.with(-1, { ...last, who }));
    }
    return best;
  }

  /** Whether the room does something else in the same steps with other random numbers. */
  #dependsOnSeed({ steps, options, room }) {
    const own = answersOf(room);
    return SEEDS.some((seed) => answersOf(playSteps(this.#component, this.#plan, { options, seed }, steps).room) !== own);
  }

  #simpler(run) {
    let best = run;
    const take = (steps, of = best) => {
      const found = this.tried(of, steps);
      if (found !== undefined && sizeOf(found) < sizeOf(best)) best = found;
    };
    const hold = (this.#component.config.reconnectSeconds ?? HOLD_SECONDS) * 1_000;
    take(best.steps, { ...best, options: {} });
    take(best.steps, { ...best, seed: "" });
    for (let at = 0; at < best.steps.length; at++) {
      for (const step of simplerSteps(best.steps[at], { handles: handlesOf(best.steps), hold })) if (at < best.steps.length) take(best.steps.with(at, step));
    }
    take(renamed(best.steps));
    // What a second session does may be done by another player as well: `ana2` has a name of its own until it gets one.
    const own = best.steps.map((step) => withHandle(step, (who) => who.replace(/2$/, "x")));
    if (handlesOf(own).length <= NAMES.length) take(renamed(own));
    return best;
  }
}

function handlesOf(steps) { return [...new Set(steps.map(({ who, of }) => who ?? of?.who).filter((who) => who !== undefined))]; }
function answersOf({ entries }) { return JSON.stringify(entries.map(({ gave }) => gave)); }
function pairsOf(list) { return list.flatMap((one) => list.filter((other) => other !== one).map((other) => [one, other])); }

function isTime({ do: what }) { return what === "advance"; }

/** The steps with the first of these two times added to the second. */
function withTimesAdded(steps, first, second) {
  return steps.filter((step) => step !== first).map((step) => (step === second ? { ...step, ms: first.ms + step.ms } : step));
}

/** The step with another handle in place of its own. */
function withHandle(step, change) {
  if (step.of !== undefined) return { ...step, of: withHandle(step.of, change) };
  return step.who === undefined ? step : { ...step, who: change(step.who) };
}

/** What a step adds to the size beyond its text: a seat is lost by time before it is left, and one player leaves before all do. */
const DEPARTURES = { leave: 50, arrive: 60, rest: 100 };
const SECOND_SESSION = 10;

/** What is simpler has a smaller size: fewer steps first, then shorter ones. */
function sizeOf({ steps, options, seed }) {
  return steps.length * 1e6 + JSON.stringify([steps, options, seed]).length + steps.reduce((sum, step) => sum + weightOf(step), 0);
}

function weightOf({ do: what, who, ms = 0 }) {
  const player = who === undefined ? 0 : NAMES.findIndex((name) => who.startsWith(name.toLowerCase())) / 10 + (who.endsWith("2") ? SECOND_SESSION : 0);
  return (DEPARTURES[what] ?? 0) + Math.log2(1 + ms) / 100 + player;
}

function* simplerSteps(step, { handles, hold }) {
  if (step.do === "arrive") yield { do: "leave", who: step.who };
  if (step.do === "leave") yield { do: "advance", ms: hold };
  if (step.do === "rest") for (const who of handles) yield { do: "leave", who };
  if (step.do === "advance") for (const ms of TIMES_MS) if (ms < step.ms) yield { ...step, ms };
  if (step.do === "join" && step.options !== undefined) yield { do: "join", who: step.who };
  if (step.do === "send" || step.do === "receive") for (const data of simplerData(step.data)) yield { ...step, data };
  if (step.do === "repeat" && step.of.do !== "visit") yield step.of;
  if (step.do === "repeat") for (const times of [1, 2, 5, 10]) if (times < step.times) yield { ...step, times };
  if (step.do === "repeat" && step.of.do === "send") for (const data of simplerData(step.of.data)) yield { ...step, of: { ...step.of, data } };
  if (step.do === "answer" && step.rooms?.length > 0) for (const rooms of [[], ...step.rooms.map((_, at) => step.rooms.toSpliced(at, 1))]) yield { ...step, rooms };
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
  return steps.map((step) => withHandle(step, rename));
}
