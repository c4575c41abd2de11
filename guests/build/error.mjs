// Mistakes in a guest, each with its place.

/** One mistake for the author to correct. `line` and `column` begin at 1; 0 when only the file is known. */
export class Mistake extends Error {
  constructor(file, { line, column }, message) {
    super(message);
    this.file = file;
    this.line = line;
    this.column = column;
  }

  toString() {
    const place = this.line > 0 ? `${this.file}:${this.line}:${this.column}` : this.file;
    return `${place}: ${this.message}`;
  }
}

/** All mistakes in one guest. */
export class Mistakes extends Error {
  constructor(list) {
    super(list.map(String).join("\n"));
    this.list = list;
  }
}

export const NOWHERE = { line: 0, column: 0 };

/** Line and column of a character offset. */
export function placeOf(code, offset) {
  const before = code.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - before.lastIndexOf("\n") };
}

const FILES = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read: look at its permissions",
  EPERM: "it may not be read: look at its permissions",
  EISDIR: "it is a folder, and a file is needed here",
  ENOTDIR: "it is a file, and a folder is needed here",
  ELOOP: "its links lead back to themselves",
};

/** The error text for a file that cannot be read; `undefined` for any other error. */
export function unreadable({ code, path }) {
  return path !== undefined && FILES[code];
}

/** Text with its control characters escaped, which a terminal would interpret. Line breaks stay. */
export function printable(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (char) =>
    `\\u{${char.codePointAt(0).toString(16)}}`);
}
