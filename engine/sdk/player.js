// A member of a room, and the list of them (engine/src/member.c).

import { emit, PART } from "./call.js";
import { roomId } from "./ids.js";
import { messageType, toJson, toParcel, toText } from "./json.js";
import { native } from "./native.js";
import * as primordials from "./primordials.js";

export const { Player, addPlayer, removePlayer, memberCount } = native;

export const inner = { setConnected: native.setConnected, setSpectator: native.setSpectator };

export const bySession = { get: native.getPlayer, has: native.hasPlayer, forEach: native.forEachPlayer };

const methods = {
  moveTo(room, options) {
    const target = roomId(room, "player.moveTo");
    emit("move-to" + PART + this.session + PART + target + PART + toParcel(options ?? {}, "player.moveTo: the options"), "player.moveTo");
  },

  kick(reason = "kicked") {
    emit("kick" + PART + this.session + PART + toText(reason, "player.kick: the reason"), "player.kick");
  },

  toJSON() {
    throw new primordials.TypeError("a player is not plain data: keep player.id or player.session");
  },
};

/** `send` for what the engine leaves. */
export function slowSend(type, data) {
  const checked = messageType(type, "player.send: the type");
  emit("send" + PART + this.session + PART + checked + PART + toJson(data, "player.send: the data of", checked), "player.send");
}

function method(name, value) {
  primordials.defineProperty(Player.prototype, name, { value, writable: true, configurable: true, enumerable: false });
}

for (const name of primordials.keys(methods)) method(name, methods[name]);
method("send", native.send);
