// Globals that a room does not have, and what to use instead. The build reports their uses by file and line; a use that is
// found only at run time gets the same text.

const TIMER = "declare it in `timers = { name: (payload) => … }` and set it by this.schedule.after(ms, name, payload)";
const NETWORK = "a room talks to its players and to other rooms only: player.send, this.broadcast, this.rooms.send";
const STORAGE = "what must last goes into this.state";
const COLLECTOR = "nothing may depend on the garbage collector: a replay would differ";
const MEMORY = "a room has one thread; use an ArrayBuffer";

export const ABSENT = {
  setTimeout: TIMER,
  setInterval: TIMER,
  setImmediate: TIMER,
  clearTimeout: "this.schedule.cancel(name)",
  clearInterval: "this.schedule.cancel(name)",
  clearImmediate: "this.schedule.cancel(name)",
  requestAnimationFrame: TIMER,
  queueMicrotask: "call the function: hooks are synchronous",
  fetch: NETWORK,
  XMLHttpRequest: NETWORK,
  WebSocket: NETWORK,
  EventSource: NETWORK,
  BroadcastChannel: NETWORK,
  MessageChannel: NETWORK,
  Worker: "one room is one thread; create other rooms by this.rooms.create(kind, options)",
  localStorage: STORAGE,
  sessionStorage: STORAGE,
  indexedDB: STORAGE,
  process: "options come with onCreate(options); the log is this.log",
  require: "`import` at the top of the file",
  module: "`export default class extends Room`",
  exports: "`export default class extends Room`",
  __dirname: "a room has no files; `import` what it needs",
  __filename: "a room has no files; `import` what it needs",
  Buffer: "Uint8Array, and strings, which are sent as they are",
  Intl: "format for people in the client, which has their language",
  TextEncoder: "strings are sent as they are",
  TextDecoder: "strings are sent as they are",
  WebAssembly: "plain JavaScript",
  WeakRef: COLLECTOR,
  FinalizationRegistry: COLLECTOR,
  SharedArrayBuffer: MEMORY,
  Atomics: MEMORY,
  window: "globalThis; a room has no page",
  document: "this.broadcast, and let the client draw; a room has no page",
  alert: "this.log.info",
};
