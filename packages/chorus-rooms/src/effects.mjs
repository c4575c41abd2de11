// Conversions between the fields of the contract (`wit/room.wit`) and the values of a room in a test.

import { EFFECTS, LEVELS } from "../../../guests/build/contract.mjs";

/** The fields of an event, in the order of the contract. */
export function fieldsOf({ tag, val }) {
  switch (tag) {
    case "create": case "dispose": case "erase": return [val];
    case "join": return [val.member.session, { ...val.member, from: val.from }, val.claims, val.options];
    case "identify": return [val.session, val.was, val.player, val.name, val.claims];
    case "drop": case "reconnect": return [val];
    case "leave": return [val.session, val.reason];
    case "message": return [val.session, val.type, val.data];
    case "timer": return [val.name, val.payload];
    case "answer": return [val.handler, val.failed ?? "", val.payload, val.result];
    case "room-message": return [val.room, val.data];
    case "room-end": return [val.room, val.failed ?? "", val.outcome];
    case "move-failed": return [val.session, val.room, val.reason];
    default: throw new Error(`an unknown event, ${tag}`);
  }
}

/** The names of an effect's fields. One that is not listed has only one field, or none. */
const FIELDS = {
  send: ["session", "type", "data"], broadcast: ["type", "except", "data"], "view-of": ["session", "view"],
  "move-to": ["session", "room", "options"], kick: ["session", "reason"], "create-room": ["kind", "rooms", "options"],
  request: ["kind", "handler", "afterMs", "payload", "data"],
  report: ["session", "reason", "data"], "send-room": ["room", "data"], "set-timer": ["name", "afterMs", "payload"], log: ["level", "text"],
};

/** The effects of an outcome, each `{ tag, val }`. */
export function named(effects) {
  return effects.map(([tag, ...fields]) => {
    if (!Object.hasOwn(EFFECTS, tag)) throw new Error(`an unknown effect, ${tag}`);
    if (tag === "admit") return { tag, val: fields[0] ? "spectator" : "player" };
    if (tag === "log") return { tag, val: { level: LEVELS[fields[0]], text: fields[1] } };
    if (FIELDS[tag] === undefined) return { tag, val: fields[0] };
    return { tag, val: Object.fromEntries(FIELDS[tag].map((name, at) => [name, fields[at]])) };
  });
}

/** Claims as the contract has them: empty without any. */
export function claimsText(claims) { return claims === undefined ? "" : JSON.stringify(claims); }
