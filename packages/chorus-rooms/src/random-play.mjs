// Random play of a kind: many runs, each with its own seed, of what players, servers and time can do. The first run that breaks something
// is made short, and printed as a story.
//
// A run draws how often each sort of step happens, so that some runs have many lost connections, and some none at all. The first runs
// repeat one message each for a long time, to see whether something grows.

import { Dice, junk, spoiled } from "./dice.mjs";
import { Reached } from "./reached.mjs";
import { Run } from "./run.mjs";
import { shrink } from "./shrink.mjs";
import { NAMES, storyOf } from "./steps.mjs";
import { roomNamed, START } from "./virtual-room.mjs";

const STEPS = 40, PLAYERS = 4, REPETITIONS = 1_000;
/** Of the players, this many have a second session. */
const TABS = 2;
const MORE_REPEATS = 0.02;
/** How often each repetition comes in the first runs. */
const FIRST_REPEATS = 2;
/** What is refused at its first time is tried again, with other data. */
const ATTEMPTS = 8;
/** How many further players and types are drawn where the plan has nothing to send for the first ones: all, in most rooms. */
const REDRAWS = 256;
/** Nobody has anything to send: with this chance, what the room waits for comes next. */
const WAITED_FOR = 0.75;
/** How many of the time steps of a run end before the next timer while somebody is there to act: a clock that always runs out ends each turn. */
const PATIENCE = [0, 0.5, 0.9];
/** What becomes of a search: of four, two find rooms, one fails, and one has no answer within its deadline. */
const FATES = [[2, "rooms"], [1, "error"], [1, "deadline"]];
const FOUND = 3, FOUND_MEMBERS = 4;
const NOT_LISTED = "the server cannot list its rooms";
/** How much more, or less, often than usual a sort of step happens in a run. */
const FACTORS = [0, 0.3, 1, 1, 3];

/** How often each step is chosen, relative to the others. `junk` is a message with data that no client would send. */
const USUAL = {
  join: 3, send: 14, junk: 1, drop: 2, reconnect: 3, leave: 1.2, advance: 3, restore: 0.6, sleep: 0.6, swap: 0.4,
  answer: 6, arrive: 3, refuseMove: 1.5, childEnds: 1, receive: 1, upgrade: 0.3,
};

/**
 * Plays up to `runs` runs of a component. `plan`: see `play`. Returns `{ runs, steps, reached, failure? }`; a failure has its `run` (from 1),
 * the `rule` that is broken, a `message`, the `steps` that remain, and the `story` as code.
 */
export function playRandomly(component, plan, { runs, seed }) {
  const reached = new Reached(component, plan);
  let steps = 0;
  for (let at = 1; at <= runs; at++) {
    const run = oneRun(component, plan, at, `${seed}.${at}`, reached);
    steps += run.steps.length;
    if (run.failure !== undefined) return { runs: at, steps, reached, failure: failureOf(component, plan, run, at) };
  }
  return { runs, steps, reached };
}

function failureOf(component, plan, run, at) {
  // What a replay finds is no matter of the steps' number.
  const short = run.failure.rule === "replay" ? run : shrink(component, plan, run);
  const { failure, steps, results, options, seed } = short;
  const story = storyOf({ title: failure.title, kind: plan.kind, options, seed, steps, results });
  const hint = `\n  (it was created without options; with others: play(${JSON.stringify(plan.kind)}, { create: … }))`;
  const needsOptions = plan.create === undefined && failure.rule.startsWith("fault onCreate");
  return { run: at, rule: failure.rule, message: failure.message + (needsOptions ? hint : ""), steps, found: run.steps.length, story };
}

/** `reached`: counts what the run has reached. */
export function oneRun(component, plan, at, seed, reached) {
  const dice = new Dice(seed);
  const draw = (from, ...given) => (typeof from === "function" ? from(dice, ...given) : from);
  const run = new Run(component, plan, { options: draw(plan.create) ?? {}, seed, reached });
  const chooser = new Chooser(plan, dice, run, draw);
  for (let left = dice.between(4, plan.steps ?? STEPS); left > 0 && !run.isOver; left--) {
    const step = chooser.next();
    if (step !== undefined) run.step(step);
  }
  chooser.answerAll();
  chooser.repeat(at);
  run.end();
  return run;
}

class Chooser {
  #plan; #dice; #run; #draw; #factors; #handles; #patience; #fates = new Map();

  constructor(plan, dice, run, draw) {
    this.#plan = plan;
    this.#dice = dice;
    this.#run = run;
    this.#draw = draw;
    this.#factors = Object.fromEntries(Object.keys(USUAL).map((name) => [name, ["join", "send", "answer"].includes(name) ? 1 : dice.pick(FACTORS)]));
    const { players = PLAYERS } = plan;
    const names = NAMES.slice(0, dice.between(Math.min(2, players), players)).map((name) => name.toLowerCase());
    const second = plan.tabs === false || dice.bool() ? [] : names.slice(0, TABS).map((name) => `${name}2`);
    this.#handles = [...names, ...second];
    this.#patience = dice.pick(PATIENCE);
  }

  /** `cannot`: what is not chosen. */
  next(cannot = []) {
    const { room, cast } = this.#run;
    const members = [...room.members.values()].map((member) => ({ ...member, who: cast.handleOf(member.session) })).filter(({ who }) => who !== undefined);
    const connected = members.filter((one) => one.connected), moving = members.filter((one) => one.moving);
    const absent = this.#handles.filter((handle) => !room.members.has(cast.session(handle)));
    const children = room.created.flatMap((child, at) => (child.ended ? [] : [at]));
    const can = {
      join: absent.length === 0 ? 0 : members.length < 2 ? 3 : 1, send: connected.length > 0 && room.manifest.messages.length > 0,
      junk: this.#plan.junk !== false && connected.length > 0 && room.manifest.messages.length > 0, drop: connected.length > 0,
      reconnect: members.some((one) => !one.connected), leave: members.length > 0, advance: true, restore: true, sleep: !room.isAsleep, swap: true,
      answer: this.#isAnswered(this.#oldestSearch()), arrive: moving.length > 0, refuseMove: moving.length > 0, childEnds: children.length > 0, receive: this.#plan.receive !== undefined,
      upgrade: members.some(({ player }) => player.startsWith("g:")),
    };
    const weights = Object.entries(USUAL).map(([name, usual]) => [usual * this.#factors[name] * Number(!cannot.includes(name) && can[name]), name]);
    const what = this.#dice.weighted(weights.filter(([weight]) => weight > 0));
    const who = (list) => this.#dice.pick(list).who;
    switch (what) {
      case "join": return this.#join(this.#dice.pick(absent));
      case "send": return this.#sendOf(connected) ?? this.#waitedFor() ?? this.next(["send"]);
      case "junk": return this.#junk(this.#dice.pick(connected));
      case "drop": return { do: "drop", who: who(connected) };
      case "reconnect": return { do: "reconnect", who: who(members.filter((one) => !one.connected)) };
      case "leave": return { do: "leave", who: who(members) };
      case "advance": return this.#advance(this.#time(connected.length > 0));
      case "answer": return this.#answer();
      case "arrive": case "refuseMove": return { do: what, who: who(moving) };
      case "childEnds": return { do: what, at: this.#dice.pick(children), ...(this.#dice.bool(0.2) ? { failed: "its script failed" } : this.#draw(this.#plan.childEnds)) };
      case "receive": return { do: what, data: this.#draw(this.#plan.receive, { room: this.#snapshot() }) ?? null };
      case "upgrade": return { do: what, who: who(members.filter(({ player }) => player.startsWith("g:"))) };
      case undefined: return undefined;
      default: return { do: what };
    }
  }

  /** In the first runs, one message type each; then somebody new who joins and leaves; later now and then. */
  repeat(at) {
    const { room } = this.#run;
    const types = this.#types(), repetitions = this.#plan.repetitions ?? REPETITIONS;
    const first = FIRST_REPEATS * (types.length + 1);
    const which = at <= first ? (at - 1) % (types.length + 1) : this.#dice.bool(MORE_REPEATS) ? this.#dice.int(types.length + 1) : undefined;
    if (repetitions === 0 || which === undefined || this.#run.isOver) return;
    if (which < types.length && ![...room.members.values()].some(({ connected }) => connected)) this.#connectOne();
    for (let i = 0; i < ATTEMPTS && !this.#run.isOver; i++) {
      this.#run.step({ do: "advance", ms: 1_000 });
      const of = which === types.length ? { do: "visit" } : this.#repeatable(types[which]);
      if (of !== undefined && !this.#run.step({ do: "repeat", times: repetitions, of, ...(this.#plan.grows === true ? { growth: false } : {}) })?.refused) return;
      if (of?.do === "visit") this.#leaveOne();
    }
  }

  /** A full room has no place for a visitor. */
  #leaveOne() {
    const [session] = this.#run.room.members.keys();
    if (session !== undefined && !this.#run.isOver) this.#run.step({ do: "leave", who: this.#run.cast.handleOf(session) });
  }

  #connectOne() {
    const [member] = this.#run.room.members.keys();
    this.#run.step(member === undefined ? this.#join(this.#handles[0]) : { do: "reconnect", who: this.#run.cast.handleOf(member) });
  }

  #repeatable(type) {
    const { room, cast } = this.#run;
    const connected = [...room.members.values()].filter((one) => one.connected && cast.handleOf(one.session) !== undefined);
    return connected.length === 0 ? undefined : this.#sendOf(connected, [type]);
  }

  #join(who) {
    const options = this.#draw(this.#plan.join, { room: this.#snapshot() });
    return { do: "join", who, ...(options === undefined ? {} : { options }) };
  }

  /** A message of one of these members, of one of these types. Where the plan has nothing to send, it is drawn again among the others. */
  #sendOf(members, types = this.#types()) {
    const first = this.#send(this.#dice.pick(members), this.#dice.pick(types));
    if (first !== undefined) return first;
    const others = this.#dice.shuffle(members.flatMap((member) => types.map((type) => [member, type])));
    for (const [member, type] of others.slice(0, REDRAWS)) {
      const step = this.#send(member, type);
      if (step !== undefined) return step;
    }
    return undefined;
  }

  /** Mostly, the room waits for its next timer if there is nothing to send. */
  #waitedFor() {
    const { timers, now } = this.#run.room;
    const due = Math.min(...[...timers.values()].map((timer) => timer.due));
    return timers.size > 0 && this.#dice.bool(WAITED_FOR) ? this.#advance(Math.max(0, due - now)) : undefined;
  }

  /** A generator that returns undefined has nothing to send now. */
  #send({ session }, type) {
    const who = this.#run.cast.handleOf(session);
    const generator = this.#plan.messages?.[type];
    if (generator === undefined) return { do: "send", who, type, data: this.#plan.messages === undefined ? junk(this.#dice) : null };
    const room = this.#snapshot();
    const data = this.#draw(generator, { room, player: room.members.find((one) => one.session === session) });
    return data === undefined ? undefined : { do: "send", who, type, data };
  }

  /** Any JSON, or what the plan sends with a part of it spoiled. */
  #junk(member) {
    const type = this.#dice.pick(this.#run.room.manifest.messages), usual = this.#dice.bool() ? this.#send(member, type)?.data : undefined;
    return { do: "send", who: this.#run.cast.handleOf(member.session), type, data: usual ? spoiled(this.#dice, usual) : junk(this.#dice) };
  }

  /** Those with a generator; without any, all of the room's. */
  #types() {
    const declared = Object.keys(this.#plan.messages ?? {});
    return declared.length > 0 ? declared : this.#run.room.manifest.messages;
  }

  /** Often exactly what something waits for, and a little less. */
  #time(canAct) {
    const { room } = this.#run, next = room.nextDue();
    if (canAct && next?.timer !== undefined && this.#dice.bool(this.#patience)) return this.#dice.int(Math.max(1, next.due - room.now));
    const hold = (room.config.reconnectSeconds ?? 60) * 1000;
    const due = next === undefined ? 1_000 : Math.max(0, next.due - room.now);
    return this.#dice.weighted([[4, due], [1, Math.max(0, due - 1)], [2, this.#dice.int(5_000)], [1, 30_000], [1, hold], [0.5, 600_000]]);
  }

  /** Time passes, unless a search that has an answer would miss it. */
  #advance(ms) {
    const search = this.#oldestSearch();
    return this.#isAnswered(search) && search.due <= this.#run.room.now + ms ? this.#answer() : { do: "advance", ms };
  }

  // ---- Searches for rooms ----

  /** The search that is answered next, with what becomes of it. */
  #oldestSearch() {
    const { requests } = this.#run.room, [[number, request] = []] = requests;
    if (number === undefined) return undefined;
    if (!this.#fates.has(number)) this.#fates.set(number, this.#dice.weighted(FATES));
    const fate = this.#fates.get(number);
    // Those behind it would miss their deadlines, too.
    return { ...request, fate: fate === "deadline" && requests.size > 1 ? "error" : fate };
  }

  /** The searches that are still without an answer come to their ends, while the players are there. */
  answerAll() {
    const { room } = this.#run;
    for (let left = room.requests.size; left > 0 && !this.#run.isOver && room.requests.size > 0; left--) {
      this.#run.step(this.#advance(Math.max(0, this.#oldestSearch().due - room.now)));
    }
  }

  #isAnswered(search) { return search !== undefined && search.fate !== "deadline"; }

  #answer() {
    const { fate, kind, where } = this.#oldestSearch();
    return fate === "error" ? { do: "answer", error: NOT_LISTED } : { do: "answer", rooms: this.#found(kind, where ?? {}) };
  }

  /** Rooms that fit, the latest first: this one too, if it does. */
  #found(kind, where) {
    const { room } = this.#run, { now, metadata } = room;
    const list = Array.from({ length: this.#dice.int(FOUND + 1) }, (_, at) => ({
      id: roomNamed(`${kind} ${at}`), kind, members: this.#dice.int(FOUND_MEMBERS + 1), createdAt: now - this.#dice.int(600_000), asOf: now,
      metadata: this.#metadata(kind, where),
    }));
    const fits = Object.entries(where).every(([name, value]) => JSON.stringify(metadata?.[name]) === JSON.stringify(value));
    if (kind === room.kind && fits && this.#dice.bool()) list.push({ id: room.id, kind, members: room.members.size, createdAt: START, asOf: now, metadata: metadata ?? null });
    return list.sort((a, b) => b.createdAt - a.createdAt);
  }

  #metadata(kind, where) {
    const own = this.#draw(this.#plan.metadata, { kind, where }) ?? (kind === this.#run.room.kind ? this.#run.room.metadata : undefined);
    return own === undefined && Object.keys(where).length === 0 ? null : { ...own, ...where };
  }

  #snapshot() { return this.#run.snapshot(); }
}
