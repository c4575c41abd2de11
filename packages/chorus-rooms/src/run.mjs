// One run of a random play: steps done to a virtual room, with everything that must be true checked after each event.

import { holdInvariants, Snapshot } from "./invariants.mjs";
import { Cast, perform } from "./steps.mjs";
import { Broken, replay, RoomError, VirtualRoom } from "./virtual-room.mjs";

/** Characters of a state or a view of a room in a random play. Well below what a room may store, and more than a game should show. */
const SIZE_KIB = 256;

/** What can be wrong: `rule` names it, the same for two runs that break the same. */
export class Failure {
  /** `title`: the rule as the title of a story. */
  constructor(rule, message, title = rule) {
    this.rule = rule;
    this.message = message;
    this.title = title;
  }

  static of(error) {
    if (error instanceof Broken) return new Failure(error.rule, error.message, error.rule.replace(/^invariant: /, ""));
    if (error instanceof RoomError) {
      const { code, handler = "swap", text, message } = error;
      return new Failure(`${code} ${handler} ${placeIn(text)}`, message, `${handler} does not fail`);
    }
    throw error;
  }
}

/** The first place in an error's text: the same mistake may have another message with other data. */
function placeIn(text) { return /\(([^\s()]+:\d+:\d+)\)/.exec(text)?.[1] ?? text.split("\n")[0]; }

export class Run {
  steps = [];
  results = [];
  failure = undefined;
  cast = new Cast();

  #plan; #before; #reached;

  /** `reached`: counts what the run has reached. */
  constructor(component, plan, { options = {}, seed = "", reached } = {}) {
    this.#plan = plan;
    this.options = options;
    this.seed = seed;
    this.room = new VirtualRoom(component, { kind: plan.kind, secret: seed, replay: plan.replay ?? false, record: true });
    this.room.onEvent = () => this.#hold();
    this.#reached = reached;
    if (reached !== undefined) this.room.onCall = (call) => reached.count(call);
    this.#checked(() => this.room.create(options));
  }

  get isOver() { return this.failure !== undefined || this.room.ended !== undefined; }

  snapshot() { return new Snapshot(this.room); }

  /** Does a step, and returns what it gave. Steps that do not fit leave no trace. */
  step(step) {
    if (this.isOver) return undefined;
    let result;
    const at = this.steps.push(step) - 1;
    const act = () => this.#checked(() => { result = perform(step, this.room, this.cast); });
    if (step.do === "repeat" && this.#reached !== undefined) this.#reached.once(act);
    else act();
    if (result === undefined && this.failure === undefined) this.steps.length = at;
    else this.results[at] = result;
    if (result?.times !== undefined) this.steps[at] = { ...step, times: result.times };
    return result;
  }

  /** All leave, and the entries are replayed. */
  end() {
    const { ticksWhenEmpty } = this.#plan;
    this.step({ do: "rest", options: ticksWhenEmpty ? { ticksWhenEmpty } : undefined });
    if (this.failure === undefined) this.#checked(() => replay(this.room.entries));
    this.close();
  }

  close() {
    this.#reached?.seeView(this.room.largestView);
    this.room.close();
  }

  #checked(action) {
    try {
      action();
      const failed = this.room.failures.splice(0).find((error) => !(this.#plan.tolerant && error instanceof RoomError));
      if (failed !== undefined) throw failed;
      if (!this.#plan.tolerant && this.room.ended?.failed !== undefined) throw new Broken("ended", `the room has ended: ${this.room.ended.failed}`);
    } catch (error) {
      this.failure ??= Failure.of(error);
    }
  }

  #hold() {
    this.#holdSizes();
    this.#before = holdInvariants(this.#plan.invariants, new Snapshot(this.room), this.#before);
  }

  #holdSizes() {
    const most = (this.#plan.maxKiB ?? SIZE_KIB) * 1024;
    for (const [what, size] of Object.entries(this.room.sizes)) {
      if (size > most) throw new Broken(`size of the ${what}`, `the ${what} has ${size} characters; more than ${most} is too much (\`maxKiB\` of the play)`);
    }
  }
}

/** Plays these steps. Stops at the first failure. */
export function playSteps(component, plan, { options, seed }, steps) {
  const run = new Run(component, plan, { options, seed });
  for (const step of steps) run.step(step);
  run.close();
  return run;
}
