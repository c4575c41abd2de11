// The rooms that the lobby has placed players in, by code, by id and by name.
//
// A call prints the whole state, so ten thousand rooms are few long texts, which cost about as much as they have bytes: each
// *book* has the records of the codes that begin with one character. A record is found by a search of the engine, not by a loop.
//
// A room's code is cut from its id, so that it is found by either; of an id that clashes with another, from a later place. Ids
// are the room's randomness: a client that has seen other codes cannot compute one. No character is mistaken for another: there is no
// 0, O, 1 or I.

const ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/** Five bits each: with 10,000 rooms, one guess in 100,000 is a room. */
const CODE_CHARS = 6;
/** The places in an id's 24 random digits that a code is cut from. */
const PLACES = 8;
/** Some 60 bytes each. */
export const ROOMS_KEPT = 20_000;
export const NAMES_KEPT = 2_000;

/**
 * @typedef {{ count: number, books: Record<string, string>, named: number, names: string }} Codes
 * @typedef {{ code: string, room: string, hidden: boolean, key: string }} Kept `hidden`: a private room. `key`: kind and match
 */

/** @returns {Codes} */
export function noCodes() {
  return { count: 0, books: {}, named: 0, names: "" };
}

/** Keeps a room, and returns its code; null when there are too many. @param {Codes} codes @param {string} room @param {{ key: string, hidden?: boolean }} what */
export function keep(codes, room, { key, hidden = false }) {
  if (codes.count >= ROOMS_KEPT) return null;
  for (let place = 0; place < PLACES; place++) {
    const code = codeAt(room, place), book = bookOf(codes, code);
    if (book.includes(`;${code}`)) continue;
    codes.books[code[0]] = `${book};${code}${room}${hidden ? "-" : "+"}${written(key)}`;
    codes.count += 1;
    return code;
  }
  return null;
}

/** @param {Codes} codes @param {string} room @returns {Kept | undefined} */
export function keptById(codes, room) {
  for (let place = 0; place < PLACES; place++) {
    const code = codeAt(room, place);
    const found = read(bookOf(codes, code), `;${code}${room}`);
    if (found) return found;
  }
  return undefined;
}

/** By a code as people type it, or by a name. @param {Codes} codes @param {string} text @returns {Kept | undefined} */
export function keptByText(codes, text) {
  const code = codeOf(text) ?? namedCode(codes, text);
  return code === undefined ? undefined : read(bookOf(codes, code), `;${code}`);
}

/** Gives a kept room a name. False when there are too many, or the name is another room's. @param {Codes} codes @param {string} name @param {string} code */
export function giveName(codes, name, code) {
  if (codes.named >= NAMES_KEPT || namedCode(codes, name) !== undefined) return false;
  codes.names += `;${name} ${code}`;
  codes.named += 1;
  return true;
}

/** The room has another match. @param {Codes} codes @param {Kept} kept @param {string} key */
export function rewrite(codes, { code, room, hidden }, key) {
  cut(codes, code);
  codes.books[code[0]] = `${bookOf(codes, code)};${code}${room}${hidden ? "-" : "+"}${written(key)}`;
}

/** The room has ended: its code and its name end with it. @param {Codes} codes @param {string} room */
export function forget(codes, room) {
  const kept = keptById(codes, room);
  if (kept === undefined) return;
  cut(codes, kept.code);
  codes.count -= 1;
  const at = codes.names.indexOf(` ${kept.code}`);
  if (at === -1) return;
  const start = codes.names.lastIndexOf(";", at);
  codes.names = codes.names.slice(0, start) + codes.names.slice(at + 1 + CODE_CHARS);
  codes.named -= 1;
}

/**
 * What is wrong with a room's name; undefined if nothing is. `join` takes an id, a code or a name, so a name is neither of the others. A code has no `o`,
 * so a prefix with one makes a name of each word.
 * @param {unknown} text @returns {string | undefined}
 */
export function wrongWithName(text) {
  if (typeof text !== "string" || !/^[a-z0-9][a-z0-9-]{2,39}$/.test(text)) return "a name has 3 to 40 of a-z, 0-9 and -, and does not begin with -";
  if (codeOf(text) !== undefined) return `the name ${text} looks like a room's code (six of ${ALPHABET}): put a prefix before it, as in room-${text}`;
  return isId(text) ? "a name is not like a room's id, 32 of 0-9 and a-f: put a prefix before it, as in room-1" : undefined;
}

/** @param {unknown} text @returns {text is string} */
export function isId(text) {
  return typeof text === "string" && /^[0-9a-f]{32}$/.test(text);
}

/** @param {string} text @returns {string | undefined} */
function codeOf(text) {
  const code = text.replace(/[\s-]/g, "").toUpperCase();
  return code.length === CODE_CHARS && [...code].every((one) => ALPHABET.includes(one)) ? code : undefined;
}

/** @param {string} room @param {number} place */
function codeAt(room, place) {
  const bits = parseInt(room.slice(2 * place, 2 * place + 8), 16);
  let code = "";
  for (let shift = 27; code.length < CODE_CHARS; shift -= 5) code += ALPHABET[(bits >>> shift) & 31];
  return code;
}

/** @param {Codes} codes @param {string} name @returns {string | undefined} */
function namedCode({ names }, name) {
  const at = names.indexOf(`;${name} `);
  if (at === -1) return undefined;
  const start = at + name.length + 2;
  return names.slice(start, start + CODE_CHARS);
}

/** @param {Codes} codes @param {string} code */
function bookOf({ books }, code) {
  return books[code[0]] ?? "";
}

/** @param {string} book @param {string} beginning @returns {Kept | undefined} */
function read(book, beginning) {
  const at = book.indexOf(beginning);
  if (at === -1) return undefined;
  const room = at + 1 + CODE_CHARS, flag = room + 32;
  const next = book.indexOf(";", flag);
  const [kind, values] = book.slice(flag + 1, next === -1 ? undefined : next).split(" ");
  const key = `${kind} ${values === undefined ? "[]" : decodeURIComponent(values)}`;
  return { code: book.slice(at + 1, room), room: book.slice(room, flag), hidden: book[flag] === "-", key };
}

/** @param {Codes} codes @param {string} code */
function cut(codes, code) {
  const book = bookOf(codes, code), at = book.indexOf(`;${code}`);
  const next = book.indexOf(";", at + 1);
  const rest = book.slice(0, at) + (next === -1 ? "" : book.slice(next));
  if (rest === "") delete codes.books[code[0]];
  else codes.books[code[0]] = rest;
}

/** A key's values have texts of clients. Without quotes, backslashes and wide characters a book is printed at the speed of a copy. @param {string} key */
function written(key) {
  const [kind] = key.split(" ", 1), values = key.slice(kind.length + 1);
  return values === "[]" ? kind : `${kind} ${encodeURIComponent(values)}`;
}
