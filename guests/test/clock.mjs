// The clock of a room that runs in a global scope of Node's own.

/** A script that makes `Date` stand at the time of the global variable `clock`, as the host does. */
export const DATE = `{
  const Real = Date;
  const { clock } = globalThis;
  delete globalThis.clock;
  globalThis.Date = class Date extends Real {
    constructor(...parts) { if (parts.length > 0) super(...parts); else super(clock.now); }
    static now() { return clock.now; }
  };
}`;
