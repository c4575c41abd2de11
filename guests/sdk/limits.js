// Every limit that makes the SDK throw, in one place.
//
// A throw is decided anew whenever a room is replayed, so a limit may never change for a component that has run: these
// numbers are part of the contract's version (`wit/room.wit`) and are bundled into each component. The host checks the
// same limits a second time (`host/src/guest/budget.rs`, whose tests compare the two), and there an excess is a fault.

/** The version of the contract that these limits belong to. */
export const CONTRACT = "3.0.0";

export const LIMITS = {
  /** UTF-8 bytes of a message's type, of a timer's name. */
  typeBytes: 64,
  /** Message types, and timers, of one room. */
  names: 256,
  /** Characters of a kind. */
  kindChars: 48,
  /** Arrays and objects around a value: what every JSON parser takes. */
  nesting: 127,
  /** UTF-8 bytes of a value that leaves the room as one record: options, a message to a room, an outcome. */
  parcelBytes: 524_288,
  /** UTF-8 bytes of a report's data. */
  reportBytes: 4_096,
  /** UTF-8 bytes of what a request looks for, and of the data for its handler. */
  requestBytes: 4_096,
  /** Requests of one room that have no answer yet. */
  requests: 16,
  /** Milliseconds after which a request has failed: the longest, and that of `rooms.find`. */
  deadlineMs: 60_000,
  answerMs: 10_000,
  /** Ten years. Anything beyond is a mistake in units. */
  delayMs: 316_224_000_000,
  /** The log of one call in units of UTF-16, with one more for each line. The rest is cut. */
  logUnits: 16_384,
};

/** `static config.budget`: the defaults, and the highest values. */
export const BUDGETS = {
  fuelPerRecord: { normal: 300_000_000, cap: 3_000_000_000 },
  fuelPerMessage: { normal: 20_000_000, cap: 3_000_000_000 },
  memoryMiB: { normal: 64, cap: 256 },
  outputKiB: { normal: 1_024, cap: 8_192 },
  effectsPerRecord: { normal: 1_000, cap: 10_000 },
  timers: { normal: 64, cap: 1_024 },
  roomsPerRecord: { normal: 16, cap: 64 },
  rooms: { normal: 16, cap: 1_024 },
  stateKiB: { normal: 1_024, cap: 8_192 },
  faults: { normal: 5, cap: 100 },
};

/** The highest values in `static config` and `static lobby`. */
export const CAPS = {
  maxPlayers: 20_000,
  sessionsPerPlayer: 20_000,
  reconnectSeconds: 86_400,
  emptySeconds: 604_800,
  /** Rooms of one instance. */
  share: 64,
  /** Players that the lobby gathers before it creates a room, in `static lobby`. */
  lobbySeats: 64,
  /** Fields of the metadata that the lobby compares. */
  lobbyMatch: 8,
};

/**
 * What this room may use: the budgets that the SDK checks, and the players and the sessions of one player that it may have; 0 is no
 * limit. `share`: how many rooms an instance may have, for the engine. Output is counted in
 * bytes of the effects' encodings, the state in units of UTF-16, as long as its text is here.
 */
export const allowed = { output: 0, effects: 0, timers: 0, rooms: 0, state: 0, players: 0, sessions: 0, share: 1 };

/** Sets the limits from the class's config, once that has been checked. */
export function allow(config) {
  const of = (key) => config?.budget?.[key] ?? BUDGETS[key].normal;
  allowed.output = of("outputKiB") * 1024;
  allowed.effects = of("effectsPerRecord");
  allowed.timers = of("timers");
  allowed.rooms = of("roomsPerRecord");
  allowed.state = of("stateKiB") * 1024;
  allowed.players = config?.maxPlayers ?? 0;
  allowed.sessions = config?.sessionsPerPlayer ?? 0;
  allowed.share = config?.share ?? 1;
}
