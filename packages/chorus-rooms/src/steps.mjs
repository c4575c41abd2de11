// The steps of a random play: what can happen to a room, as data. A step is done to a virtual room, and printed as the line of a story.
//
// A step that does not fit (its player is not in the room) does nothing, so that any selection of a play's steps can be played.

import { Growth } from "./growth.mjs";
import { guestId } from "./invariants.mjs";
import { rest } from "./rest.mjs";
import { Broken, RoomError, sessionNamed } from "./virtual-room.mjs";

export const NAMES = ["Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gil", "Hana"];
/** A room that is not in the test sends what `receive` sends. */
export const OTHER_ROOM = "ab".repeat(16);

/** Who plays under which handle: `ana` is the first session of Ana, `ana2` the second. */
export class Cast {
  #sessions = new Map();
  #visitors = 0;

  session(handle) { return this.#sessions.get(handle); }
  handleOf(session) { return [...this.#sessions].find(([, one]) => one === session)?.[0]; }

  /** The player of a join. As `TestRoom.join`, it takes the first session of this player that nobody has. */
  joining(handle) {
    const name = nameOf(handle), player = guestId(name), taken = new Set(this.#sessions.values());
    let session = this.#sessions.get(handle);
    for (let tab = 1; session === undefined; tab++) {
      const free = sessionNamed(`${player} ${tab}`);
      if (!taken.has(free)) session = free;
    }
    this.#sessions.set(handle, session);
    return { session, player, name };
  }

  visitor() {
    const name = `Guest ${++this.#visitors}`, player = guestId(name);
    return { session: sessionNamed(`${player} 1`), player, name };
  }

  dismiss(handle) { this.#sessions.delete(handle); }
}

export function nameOf(handle) { return `${handle[0].toUpperCase()}${handle.slice(1).replace(/\d+$/, "")}`; }

/**
 * Does a step. Returns undefined if it did not fit, else `{ refused? }`. Throws what it has broken; failures of the script stay with the
 * room.
 */
export function perform(step, room, cast) {
  if (room.ended !== undefined) return undefined;
  const session = step.who && cast.session(step.who);
  const member = session && room.members.get(session);
  switch (step.do) {
    case "join": return join(step, room, cast);
    case "leave": return member && done(room.leave(session));
    case "drop": return member?.connected ? done(room.drop(session)) : undefined;
    case "reconnect": return member && !member.connected ? done(room.reconnect(session)) : undefined;
    case "send": return member?.connected ? answerOf(room.message(session, step.type, step.data)) : undefined;
    case "upgrade": return member?.player.startsWith("g:") ? done(room.identify(session, { player: `u:${member.name}`, name: member.name })) : undefined;
    case "arrive": return member?.moving ? done(room.arrive(session)) : undefined;
    case "refuseMove": return member?.moving ? done(room.moveFailed(session)) : undefined;
    case "advance": return done(room.advance(step.ms));
    case "restore": return done(room.crash());
    case "sleep": return room.isAsleep ? undefined : done(room.sleep());
    case "swap": return swap(room);
    case "receive": return done(room.roomMessage(OTHER_ROOM, step.data));
    case "childEnds": return childEnds(step, room);
    case "answer": return answer(step, room);
    case "repeat": return repeat(step, room, cast);
    case "rest": return done(rest(room, step.options));
    default: throw new Error(`an unknown step, ${step.do}`);
  }
}

function done() { return {}; }
function answerOf({ refused, unknown }) { return { refused: refused ?? unknown }; }

function join({ who, options = null }, room, cast) {
  const known = cast.session(who);
  if (known !== undefined && room.members.has(known)) return undefined;
  const refused = room.join({ ...cast.joining(who), options });
  if (refused !== undefined && known === undefined) cast.dismiss(who);
  return { refused, again: known !== undefined };
}

function swap(room) {
  const refused = room.swap();
  if (refused !== undefined) throw new RoomError("refused", `the swap is refused: ${refused}`, refused);
  return {};
}

function childEnds({ at, outcome, failed }, room) {
  const child = room.created[at];
  if (child === undefined || child.ended) return undefined;
  room.childEnded(child.room, outcome, failed);
  return {};
}

function answer({ rooms, error }, room) {
  const [number] = room.requests.keys();
  return number === undefined ? undefined : done(room.answer(number, error === undefined ? { rooms } : { error }));
}

/** As `TestRoom.repeat`. A refusal ends it: it is the step's if it is the first, and else the step was done fewer `times`. */
function repeat({ times, of, growth = true }, room, cast) {
  const sizes = new Growth(times);
  for (let i = 0; i < times && room.ended === undefined && room.failures.length === 0; i++) {
    const result = of.do === "visit" ? visit(room, cast) : perform(of, room, cast);
    if (result === undefined) return i === 0 ? undefined : { times: i };
    if (result.refused !== undefined) return i === 0 ? { refused: result.refused } : { times: i };
    if (room.ended === undefined && room.failures.length === 0) room.advance(1_000);
    sizes.add(room);
  }
  const grown = growth && room.ended === undefined ? sizes.found(room) : undefined;
  if (grown !== undefined) throw new Broken("growth", grown);
  return {};
}

function visit(room, cast) {
  const visitor = cast.visitor();
  const refused = room.join({ ...visitor, options: null });
  if (refused === undefined && room.ended === undefined && room.failures.length === 0) room.leave(visitor.session);
  return { refused };
}

// ---- As code ----

/** The lines of a story. `results`: what each step gave. */
export function storyOf({ title, kind, options, seed, steps, results }) {
  const known = new Set();
  const lines = steps.map((step, at) => `  ${lineOf(step, results[at], known)}`);
  const settings = seed === "" ? "" : `, { seed: ${json(seed)} }`;
  const given = settings === "" && isEmpty(options) ? "" : `, ${json(options)}`;
  return [`test(${json(title)}, async () => {`, `  const room = await createRoom(${json(kind)}${given}${settings});`, ...lines, "});"].join("\n");
}

function lineOf(step, result, known) {
  const call = callOf(step, known);
  if (result?.refused === undefined) return step.do === "join" && !known.has(step.who) ? (known.add(step.who), `const ${step.who} = await ${call};`) : `await ${call};`;
  return `await assert.rejects(${call}, { code: "refused" });   // ${cut(result.refused)}`;
}

function callOf(step, known) {
  const { who } = step;
  switch (step.do) {
    case "join": return known.has(who) ? `${who}.join(${step.options === undefined ? "" : json({ options: step.options })})` : `room.join(${joinArguments(step)})`;
    case "send": return `${who}.send(${json(step.type)}${step.data === null || step.data === undefined ? "" : `, ${json(step.data)}`})`;
    case "leave": case "drop": case "reconnect": case "upgrade": case "arrive": case "refuseMove": return `${who}.${step.do}()`;
    case "advance": return `room.advance(${number(step.ms)})`;
    case "receive": return `room.receive(${json(OTHER_ROOM)}, ${json(step.data)})`;
    case "childEnds": return `room.childEnds(room.created[${step.at}].room, ${json(step.outcome ?? null)}${step.failed ? `, { failed: ${json(step.failed)} }` : ""})`;
    case "answer": return `room.answer(${json(step.error === undefined ? { rooms: step.rooms } : { error: step.error })})`;
    case "repeat": return `room.repeat(${number(step.times)}, ${step.of.do === "visit" ? "async () => (await room.join()).leave()" : `() => ${callOf(step.of, known)}`})`;
    case "rest": return `room.rest(${step.options ? json(step.options) : ""})`;
    default: return `room.${step.do}()`;
  }
}

function joinArguments({ who, options }) {
  return options === undefined ? json(nameOf(who)) : json({ name: nameOf(who), options });
}

function number(n) { return n >= 10_000 ? String(n).replace(/\B(?=(\d{3})+$)/g, "_") : String(n); }
function isEmpty(options) { return typeof options === "object" && options !== null && Object.keys(options).length === 0; }
function cut(text) { return text.replace(/\s+/g, " ").slice(0, 80); }

/** A value as code: JSON, with the names of properties as they are written by hand. */
export function json(value) {
  if (Array.isArray(value)) return `[${value.map(json).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([name, one]) => `${/^[a-z_$][\w$]*$/i.test(name) && name !== "__proto__" ? name : JSON.stringify(name)}: ${json(one)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}
