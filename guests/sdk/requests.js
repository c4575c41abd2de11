// The room's requests: what it asks its server, and the handlers of the answers. An answer is a record, so a replay has the same.
//
// Pending requests are counted as the host counts them: those whose handler this class has.

import { call, emit } from "./call.js";
import { byteLength } from "./bytes.js";
import { named, toJson, toText } from "./json.js";
import { LIMITS } from "./limits.js";
import { recall } from "./memory.js";
import { create, hasOwn, join, keys, parse, pattern, RangeError, stringify, test, TypeError } from "./primordials.js";

let handlers = create(null);

const KIND = pattern(/^[a-z][a-z0-9-]*$/);

/** Sets the class's handlers. */
export function setAnswers(given) { handlers = given; }

/** `names`: the handlers of the requests that are pending as the room is opened. */
export function openRequests(names) {
  const notes = recall();
  notes.pending = 0;
  for (let i = 0; i < names.length; i++) if (hasOwn(handlers, names[i])) notes.pending += 1;
}

/** Runs before the effects of the current call are dropped. */
export function undoRequests() {
  const notes = recall();
  if (notes.askedIn !== call.effects) return;
  notes.pending -= notes.asked;
  notes.asked = 0;
}

/** The handler of an answer, whose request is pending no longer. */
export function answered(name) {
  recall().pending -= 1;
  return handlers[name];
}

/** What the handler gets: what the host has found, or why there is nothing. */
export function found(failed, result) {
  return failed === "" ? parse(result) : { rooms: [], asOf: call.now, truncated: false, error: failed };
}

/** `this.rooms.find` */
export function find(kind, where, name, data) {
  const wanted = toText(kind, "rooms.find: the kind");
  if (!test(KIND, wanted) || wanted.length > LIMITS.kindChars) {
    throw new TypeError(`rooms.find: ${stringify(wanted)} is not a kind; one has 1 to ${LIMITS.kindChars} of a-z, 0-9 and -, and begins with a letter`);
  }
  const fields = where ?? {};
  if (typeof fields !== "object") throw new TypeError(`rooms.find: where must be an object of fields of the metadata, not ${named(where)}`);
  if (typeof name !== "string" || !hasOwn(handlers, name)) {
    const given = typeof name === "string" ? stringify(name) : typeof name;
    throw new TypeError(`rooms.find: \`answers\` has no ${given}; it has: ${join(keys(handlers), ", ") || "none"}`);
  }
  const query = bounded(toJson({ kind: wanted, where: fields }, "rooms.find: where"), "where");
  const payload = bounded(toJson(data, "rooms.find: the data"), "the data");
  const notes = recall();
  if (notes.pending >= LIMITS.requests) {
    throw new RangeError(`rooms.find: ${notes.pending} requests are pending, the most that a room may have; wait for their answers`);
  }
  emit("request", ["find", name, LIMITS.answerMs, payload, query], "rooms.find");
  if (notes.askedIn !== call.effects) {
    notes.askedIn = call.effects;
    notes.asked = 0;
  }
  notes.asked += 1;
  notes.pending += 1;
}

function bounded(text, what) {
  const bytes = byteLength(text);
  if (bytes > LIMITS.requestBytes) throw new RangeError(`rooms.find: ${what} has ${bytes} bytes as JSON; at most ${LIMITS.requestBytes}`);
  return text;
}
