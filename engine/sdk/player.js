// A member of a room, and the list of them (engine/src/member.c).

import { addClaims } from "./claims.js";
import { addMethods, methods } from "./methods.js";
import { native } from "./native.js";

export const { Player, addPlayer, removePlayer, memberCount, playerCount, rolesChanged, setRole } = native;

export const inner = { setConnected: native.setConnected, setSpectator: native.setSpectator, setIdentity: native.setIdentity };

export const bySession = { get: native.getPlayer, has: native.hasPlayer, forEach: native.forEachPlayer };

addMethods(Player, methods);
addMethods(Player, { send: native.send });
addClaims(Player);
