// A mistake in a guest, at its place.

/** One thing for the author to change. `line` and `column` begin at 1; 0 when only the file is known. */
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

/** All that is wrong with one guest. */
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
