// The methods of `Player`, for both classes of this name: that of the reference (player.js) and that of the engine
// (engine/sdk/player.js).

import { emit } from "./call.js";
import { roomId } from "./ids.js";
import { messageType, toJson, toParcel, toText } from "./json.js";
import { LIMITS } from "./limits.js";
import * as primordials from "./primordials.js";
import { sit, stand } from "./roles.js";

export const methods = {
  send(type, data) {
    const checked = messageType(type, "player.send: the type");
    emit("send", [this.session, checked, toJson(data, "player.send: the data of", checked)], "player.send");
  },

  moveTo(room, options) {
    const target = roomId(room, "player.moveTo");
    emit("move-to", [this.session, target, toParcel(options ?? {}, "player.moveTo: the options")], "player.moveTo");
  },

  kick(reason = "kicked") {
    emit("kick", [this.session, toText(reason, "player.kick: the reason")], "player.kick");
  },

  report(reason, data) {
    const why = toText(reason, "player.report: the reason");
    emit("report", [this.session, why, toParcel(data ?? null, "player.report: the data", LIMITS.reportBytes)], "player.report");
  },

  sit() { sit(this); },
  stand() { stand(this); },

  toJSON() {
    throw new primordials.TypeError("a player is not plain data: keep player.id or player.session");
  },
};

/** Gives a class these methods, as its own declaration would. */
export function addMethods(Class, given) {
  const names = primordials.keys(given);
  for (let i = 0; i < names.length; i++) {
    primordials.defineProperty(Class.prototype, names[i], { value: given[names[i]], writable: true, configurable: true, enumerable: false });
  }
}
