// What random play has reached: how often each message type was accepted and refused, each timer has fired and each answer has come, and how
// much of its fuel each handler has used at most. A rule about a showdown is worth nothing if no run has come to one.
//
// A repetition counts once: it would hide how seldom something happens.

/** Every room has this message type, which the SDK handles (`guests/sdk/lobby.js`). */
const OF_EACH = "leave";
/** Handlers in the text of a summary. */
const SHOWN = 5;

export class Reached {
  #messages; #timers; #answers; #fuel = new Map(); #named; #once; #view = 0;

  /** `plan`: whose messages are sent. Without any, all are. */
  constructor({ manifest, config }, { messages } = {}) {
    this.#messages = new Map(manifest.messages.map((type) => [type, { accepted: 0, refused: 0 }]));
    this.#timers = new Map(manifest.timers.map((name) => [name, 0]));
    this.#answers = new Map((config.answers ?? []).map((name) => [name, 0]));
    this.#named = manifest.messages.filter((type) => type !== OF_EACH || messages?.[type] !== undefined);
  }

  /** A call of a room's script: see `VirtualRoom.onCall`. */
  count({ tag, name, handler, share, refused, failed }) {
    this.#fuel.set(handler, Math.max(share, this.#fuel.get(handler) ?? 0));
    const key = `${handler} ${refused}`;
    if (failed || this.#once?.has(key)) return;
    this.#once?.add(key);
    if (tag === "message") this.#messages.get(name)[refused ? "refused" : "accepted"] += 1;
    if (tag === "timer") this.#timers.set(name, (this.#timers.get(name) ?? 0) + 1);
    if (tag === "answer") this.#answers.set(name, (this.#answers.get(name) ?? 0) + 1);
  }

  /** What `action` does many times counts once. */
  once(action) {
    this.#once = new Set();
    try {
      return action();
    } finally {
      this.#once = undefined;
    }
  }

  /** Bytes of the largest view of a room. */
  seeView(bytes) { this.#view = Math.max(this.#view, bytes); }
  get view() { return this.#view; }

  /** As data: `fuel` has the largest share of its limit that each handler has used, the largest one first. */
  toJSON() {
    return {
      messages: Object.fromEntries(this.#messages), timers: Object.fromEntries(this.#timers), answers: Object.fromEntries(this.#answers),
      never: {
        accepted: this.#named.filter((type) => this.#messages.get(type).accepted === 0),
        fired: neverIn(this.#timers), answered: neverIn(this.#answers),
      },
      fuel: Object.fromEntries([...this.#fuel].sort(([, a], [, b]) => b - a)),
    };
  }
}

function neverIn(counts) { return [...counts].filter(([, count]) => count === 0).map(([name]) => name); }

/** The lines of a summary. `reached`: as of `toJSON`. */
export function linesOf({ messages, timers, answers, never, fuel }) {
  const counted = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ");
  const sent = Object.entries(messages).filter(([, { accepted, refused }]) => accepted + refused > 0).map(([type, { accepted, refused }]) => `${type} ${accepted}/${refused}`);
  const shares = Object.entries(fuel).slice(0, SHOWN).map(([handler, share]) => `${handler} ${percent(share)}`);
  return [
    ["messages, accepted/refused", sent.join(", ")], ["timers fired", counted(timers)], ["answers", counted(answers)],
    ["never accepted", never.accepted.join(", ")], ["never fired", never.fired.join(", ")], ["never answered", never.answered.join(", ")],
    ["most of its fuel", shares.join(", ")],
  ].filter(([, text]) => text !== "").map(([title, text]) => `${title}: ${text}`);
}

/** Two digits that count: 0.057 %, 3.2 %, 41 %. */
function percent(share) { return `${Number((share * 100).toPrecision(2))} %`; }
