// Holds a component to the contract and to determinism.
//
// | rule | how |
// |---|---|
// | the world | all but its own module is byte for byte the engine's component, of this version of the contract |
// | the manifest | is read, and each of its values is one that a server takes |
// | sizes | of the component, of its source map, of what it gives in a call |
// | determinism | the records of random plays are handled again by two instances that share nothing: the same answers, the same state, the same fuel |
// | restores | the same records, with a new instance from the saved state before each: the same answers and the same state |
// | module state | no call leaves a variable of a module changed |
// | the build | the same files give the same bytes, where the files are known |
//
// A throw of the script is no fault here: it must only be the same throw each time. What a room should do is for `chorus test`.

import { engine, sections } from "../../../guests/build/engine.mjs";
import { BUDGETS, CAPS, CONTRACT, LIMITS } from "../../../guests/sdk/limits.js";
import { oneRun } from "./random-play.mjs";
import { Reached } from "./reached.mjs";
import { largeView } from "./view-sizes.mjs";
import { replay } from "./virtual-room.mjs";

const CORE_MODULE = 1, CUSTOM = 0;
/** What the build puts into a source map at most, and the bundle's limit with room for the engine and its memory. */
const MAX_MAP = 4 << 20, MAX_COMPONENT = 64 << 20;

/**
 * What is wrong with a component, each as a text; what is no mistake and still to be known, as `warnings`; and how much was compared. `runs`:
 * random plays whose records are compared.
 */
export function check(component, { runs = 20, seed = 1, options } = {}) {
  const wrong = [...worldOf(component.bytes), ...manifestOf(component.manifest)];
  if (wrong.length > 0) return { wrong, warnings: [], records: 0 };
  const reached = new Reached(component);
  let records = 0;
  for (let at = 1; at <= runs && wrong.length === 0; at++) {
    const one = played(component, at, { seed: `${seed}.${at}`, options, reached });
    records += one.records;
    wrong.push(...one.wrong);
  }
  return { wrong, warnings: [largeView(component.kind, reached.view)].filter(Boolean), records };
}

// ---- The component ----

function worldOf(bytes) {
  const wrong = [];
  if (bytes.length > MAX_COMPONENT) wrong.push(`the component has ${bytes.length} bytes; at most ${MAX_COMPONENT}`);
  const own = frameOf(bytes), ours = frameOf(engine().component);
  if (!own.equals(ours)) {
    wrong.push(`it is no component of the world metered-room in chorus:room@${CONTRACT}, as this engine has it: build it anew`);
  }
  for (const { id, body } of sections(bytes)) {
    if (id === CUSTOM && body.length > MAX_MAP + 64) wrong.push(`a custom section has ${body.length} bytes; a source map has at most ${MAX_MAP}`);
  }
  return wrong;
}

/** A component without its core module and its custom sections: what it imports and exports, and how. */
function frameOf(bytes) {
  const parts = sections(bytes).filter(({ id }) => id !== CORE_MODULE && id !== CUSTOM).map(({ start, end }) => bytes.subarray(start, end));
  return Buffer.concat([bytes.subarray(0, 8), ...parts]);
}

function manifestOf({ stateVersion, config, timers, messages }) {
  const wrong = [];
  if (!Number.isInteger(stateVersion) || stateVersion < 0) wrong.push(`manifest: the version of the state is ${stateVersion}`);
  for (const [what, names] of [["timers", timers], ["messages", messages]]) {
    if (names.length > LIMITS.names) wrong.push(`manifest: ${names.length} ${what}; at most ${LIMITS.names}`);
    const isWrong = (name) => name === "" || Buffer.byteLength(name) > LIMITS.typeBytes;
    for (const name of names.filter(isWrong)) wrong.push(`manifest: the name ${JSON.stringify(name)} in ${what} has not 1 to ${LIMITS.typeBytes} bytes`);
    if (new Set(names).size < names.length) wrong.push(`manifest: a name occurs twice in ${what}`);
  }
  return [...wrong, ...configOf(config)];
}

function configOf(text) {
  const config = parsed(text);
  if (typeof config !== "object" || config === null || Array.isArray(config)) return [`manifest: the config is no JSON object: ${text.slice(0, 80)}`];
  const wrong = [];
  const number = (name, value, cap, least = 0) => {
    if (Number.isInteger(value) && value >= least && value <= cap) return;
    wrong.push(`manifest: ${name} is ${JSON.stringify(value)}; it may be ${least} to ${cap}`);
  };
  for (const [key, value] of Object.entries(config)) {
    if (Object.hasOwn(CAPS, key)) number(key, value, CAPS[key], key === "share" ? 1 : 0);
    else if (key === "keepWhenEmpty" && typeof value !== "boolean") wrong.push(`manifest: keepWhenEmpty is ${JSON.stringify(value)}; it may be true or false`);
    else if (key === "answers" && !isNames(config.answers)) wrong.push(`manifest: answers is ${JSON.stringify(config.answers)}; it may be a list of names of 1 to ${LIMITS.typeBytes} bytes`);
    else if (!["keepWhenEmpty", "budget", "answers"].includes(key)) wrong.push(`manifest: the config has no key ${JSON.stringify(key)}`);
  }
  for (const [key, value] of Object.entries(config.budget ?? {})) {
    if (Object.hasOwn(BUDGETS, key)) number(`budget.${key}`, value, BUDGETS[key].cap, 1);
    else wrong.push(`manifest: the budget has no key ${JSON.stringify(key)}`);
  }
  return wrong;
}

function isNames(names) {
  const isName = (name) => typeof name === "string" && name !== "" && Buffer.byteLength(name) <= LIMITS.typeBytes;
  return Array.isArray(names) && names.length <= LIMITS.names && names.every(isName);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// ---- Its records ----

/** What breaks determinism in one random play, and in two replays of its records; and how many records that were. */
function played(component, at, { seed, options, reached }) {
  const anything = { invariants: [], repetitions: 0, grows: true, ticksWhenEmpty: true, maxKiB: Infinity, tolerant: true };
  const run = oneRun(component, { ...anything, kind: component.kind, create: options, replay: true }, at, seed, reached);
  const { entries } = run.room;
  if (run.failure !== undefined) return { records: entries.length, wrong: [run.failure.message] };
  const fresh = { instance: () => component.freshInstance() };
  const [first, second] = [0, 1].map(() => replay(entries, fresh));
  const differs = first.findIndex((used, n) => used !== second[n]);
  return { records: entries.length, wrong: differs < 0 ? [] : [`record ${differs}: two instances used ${first[differs]} and ${second[differs]} polls for the same`] };
}
