// The global scope that a script finds. Imported before any of the author's modules.
//
// `Date` stays as it is: the host's clock stands at the record's time.

import { ABSENT } from "./absent.js";
import { float } from "./bits.js";
import { call, callTime } from "./call.js";
import { console } from "./log.js";
import { apply, defineProperty, keys, parse, Promise, TypeError } from "./primordials.js";
import { toJson } from "./json.js";
import { crypto } from "./random.js";

function put(name, value) {
  defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

for (const name of keys(ABSENT)) delete globalThis[name];
put("console", console);
put("crypto", crypto);
put("performance", { now: () => callTime("performance.now"), timeOrigin: 0 });
put("structuredClone", (value) => (value === undefined ? undefined : parse(toJson(value, "structuredClone: the value"))));
defineProperty(Math, "random", { value: float, writable: true, configurable: true, enumerable: false });
// It could print a text that other parsers reject.
delete JSON.rawJSON;

const PROMISES =
  "promises do not run in a room, so what waits for one never happens: hooks are synchronous; for what comes later use this.schedule.after(ms, name, payload)";

const { then } = Promise.prototype;
const nothing = () => {};

/**
 * Every wait for a promise calls this: `catch`, `finally` and `Promise.all` call it too. The error is made where the
 * script waits, and thrown at the end of the call, where no `try` of the script and no other promise can swallow it.
 */
defineProperty(Promise.prototype, "then", {
  value: function () {
    call.used = true;
    call.promised ??= new TypeError(PROMISES);
    return apply(then, this, [nothing, nothing]);
  },
  writable: true, configurable: true, enumerable: false,
});

/** At the end of a call: a promise that is left would never settle. */
export function settlePromises() {
  if (call.promised !== undefined) throw call.promised;
}
