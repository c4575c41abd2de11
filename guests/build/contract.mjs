// A host's side of the contract (`wit/room.wit`): entries as a guest takes them, and the outcomes in its answer.
//
// It reads strictly: a guest whose answer is malformed throws here, with the reason.

/** The tag and the fields of each entry, outcome and effect. Fields are named by letters: see `Writer` and `Reader`. */
const ENTRIES = {
  open: [0x01, "untr"], save: [0x02, ""], select: [0x03, "n"], close: [0x04, "n"],
  create: [0x10, "r"], join: [0x11, "ijtr"], drop: [0x12, "i"], reconnect: [0x13, "i"], leave: [0x14, "ir"], message: [0x15, "itr"],
  timer: [0x16, "tr"], "room-message": [0x17, "ir"], "room-end": [0x18, "itr"], "move-failed": [0x19, "iir"], dispose: [0x1a, "r"],
  answer: [0x1d, "tttr"], identify: [0x1e, "itttr"], erase: [0x1f, "r"],
};
export const OUTCOMES = { done: [0x01, "ue"], threw: [0x02, "ute"], saved: [0x03, "ur"], exhausted: [0x04, "ue"] };
export const EFFECTS = {
  admit: [0x01, "b"], reply: [0x02, "r"], refuse: [0x03, "r"], send: [0x04, "itr"], broadcast: [0x05, "tlr"], view: [0x06, "r"],
  "view-of": [0x07, "ir"], "move-to": [0x08, "iir"], kick: [0x09, "ir"], "create-room": [0x0a, "tnr"], "send-room": [0x0b, "ir"],
  "set-timer": [0x0c, "tfr"], "cancel-timer": [0x0d, "r"], lock: [0x0e, ""], unlock: [0x0f, ""], metadata: [0x10, "r"],
  end: [0x11, "r"], log: [0x12, "yr"], sit: [0x13, "i"], stand: [0x14, "i"], request: [0x15, "ttftr"], identify: [0x18, ""],
  report: [0x19, "itr"],
};
export const LEVELS = ["debug", "info", "warn", "error"];

const HEAD = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Writer {
  #parts = [];

  /** A tag, a length, and what `put` writes. */
  tagged(tag, put) {
    const body = new Writer();
    put(body);
    const bytes = body.bytes();
    this.y(tag);
    this.n(bytes.length);
    this.#parts.push(bytes);
  }

  #sized(size, put) {
    const bytes = Buffer.alloc(size);
    put(bytes);
    this.#parts.push(bytes);
  }

  y(byte) { this.#sized(1, (bytes) => bytes.writeUInt8(byte)); }
  n(number) { this.#sized(4, (bytes) => bytes.writeUInt32LE(number)); }
  u(number) { this.#sized(8, (bytes) => bytes.writeBigUInt64LE(BigInt(number))); }
  i(digits) { this.#parts.push(Buffer.from(digits, "hex")); }
  r(text) { this.#parts.push(encoder.encode(text)); }

  t(text) {
    const bytes = encoder.encode(text);
    this.n(bytes.length);
    this.#parts.push(bytes);
  }

  /** A joining member. */
  j({ player, name, spectator, from }) {
    this.y(spectator ? 1 : 0);
    this.t(player);
    this.t(name);
    this.n(from === undefined ? 0 : 1);
    if (from !== undefined) this.i(from);
  }

  bytes() { return new Uint8Array(Buffer.concat(this.#parts)); }
}

/** The bytes of an entry: `entry("save")`, `entry("open", limit, version, saved, room)`. */
export function entry(name, ...fields) { return withHeader(name, undefined, fields); }

/** The bytes of an event: `event({ now, chance, limit }, "message", session, type, data)`. `name` may be a tag that has no name. */
export function event(header, name, ...fields) { return withHeader(name, header, fields); }

function withHeader(name, header, fields) {
  const [tag, kinds] = ENTRIES[name] ?? [name, ""];
  const writer = new Writer();
  writer.tagged(tag, (to) => {
    if (header !== undefined) {
      to.u(header.now);
      to.i(header.chance);
      to.u(header.limit);
    }
    [...kinds].forEach((kind, at) => to[kind](fields[at]));
  });
  return writer.bytes();
}

const tags = new Map();

/** The names and fields in a table, by tag. A run of a test reads a hundred thousand of them. */
function byTag(table) {
  if (!tags.has(table)) tags.set(table, new Map(Object.entries(table).map(([name, [tag, kinds]]) => [tag, [name, [...kinds]]])));
  return tags.get(table);
}

class Reader {
  #bytes; #at; #end; #view;

  constructor(bytes, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset);
  }

  get isEmpty() { return this.#at === this.#end; }

  /** The place of the next bytes. */
  #take(count) {
    const at = this.#at;
    if (count > this.#end - at) throw new Error(`malformed: ${count} bytes at ${at} of ${this.#end}`);
    this.#at += count;
    return at;
  }

  n() { return this.#view.getUint32(this.#take(4), true); }
  u() { return Number(this.#view.getBigUint64(this.#take(8), true)); }
  f() { return this.#view.getFloat64(this.#take(8), true); }
  y() { return this.#bytes[this.#take(1)]; }
  i() { return Buffer.from(this.#part(16)).toString("hex"); }
  l() { return Array.from({ length: this.n() }, () => this.i()); }
  t() { return decoder.decode(this.#part(this.n())); }
  r() { return decoder.decode(this.#part(this.#end - this.#at)); }

  b() {
    const flag = this.y();
    if (flag > 1) throw new Error(`malformed: the flag ${flag}`);
    return flag === 1;
  }

  /** The effects up to the end: each `[name, …fields]`. */
  e() {
    const effects = [];
    while (!this.isEmpty) effects.push(this.tagged(EFFECTS));
    return effects;
  }

  #part(count) {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** The name and the fields behind a tag. */
  tagged(table) {
    const tag = this.y(), length = this.n();
    const found = byTag(table).get(tag);
    if (found === undefined) throw new Error(`malformed: the tag ${tag}`);
    const at = this.#take(length), fields = new Reader(this.#bytes, at, at + length);
    const [name, kinds] = found;
    const read = kinds.map((kind) => fields[kind]());
    if (!fields.isEmpty) throw new Error(`malformed: ${name} has bytes after its last field`);
    return [name, ...read];
  }
}

/** The outcomes in an answer: `{ done: effects }`, `{ threw: text, log: effects }`, `{ saved: text }`, `{ exhausted: effects }`, each
 * with what it has `used`. */
export function outcomesOf(answer) {
  const reader = new Reader(new Uint8Array(answer));
  const outcomes = [];
  while (!reader.isEmpty) {
    const [name, used, ...fields] = reader.tagged(OUTCOMES);
    outcomes.push({ used, ...(name === "threw" ? { threw: fields[0], log: fields[1] } : { [name]: fields[0] }) });
  }
  return outcomes;
}

/** The most polls that a kind can give a record: the cap of `fuelPerRecord` is 3,000,000,000, and a poll stands for 100. */
export const LIMIT = 30_000_000;

/** Calls with one entry each, of a guest that has the functions of the contract. */
export function oneByOne({ describe, call }) {
  const outcome = (bytes) => {
    const outcomes = outcomesOf(call(bytes));
    if (outcomes.length !== 1) throw new Error(`malformed: ${outcomes.length} outcomes of one entry`);
    const [{ used, ...one }] = outcomes;
    calls.used = used;
    return one;
  };
  const calls = {
    /** How many polls an entry may take, and how many the last one has taken. */
    limit: LIMIT,
    used: 0,
    describe,
    open: (room, version, saved) => outcome(entry("open", calls.limit, version, saved, room)),
    handle: (header, name, ...fields) => outcome(event({ limit: calls.limit, ...header }, name, ...fields)),
    save: () => outcome(entry("save")),
  };
  return calls;
}
