// The global scope that a script finds. Imported before any of the author's modules.
//
// `Date` needs nothing: the host's clock stands at the record's time.

import { ABSENT } from "./absent.js";
import { moment } from "./call.js";
import { console } from "./log.js";
import { defineProperty, keys, parse } from "./primordials.js";
import { toJson } from "./json.js";
import { crypto, float } from "./random.js";

function put(name, value) {
  defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

for (const name of keys(ABSENT)) delete globalThis[name];
put("console", console);
put("crypto", crypto);
put("performance", { now: () => moment("performance.now"), timeOrigin: 0 });
put("structuredClone", (value) => (value === undefined ? undefined : parse(toJson(value, "structuredClone: the value"))));
defineProperty(Math, "random", { value: float, writable: true, configurable: true, enumerable: false });
