-- What the calls of a cluster need, so that the same monitor and the same operators' tools work on one process.

-- A part of the machine's id, between its role and its number.
ALTER TABLE machines ADD COLUMN name TEXT;
ALTER TABLE machines ADD COLUMN address TEXT;
-- Only ever from alive to draining: the dead of an embedded store are those that an earlier process has left.
ALTER TABLE machines ADD COLUMN state TEXT NOT NULL DEFAULT 'alive' CHECK (state IN ('alive', 'draining', 'dead'));

ALTER TABLE partitions ADD COLUMN host TEXT;
-- Rises with every assignment. 0: never assigned.
ALTER TABLE partitions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

-- The other edge that had a connection when the session was resumed last: the answer, if the same call comes again.
ALTER TABLE sessions ADD COLUMN replaced_edge TEXT;
-- Nobody can resume it any more, but perhaps not every room has been told. The row goes when they have.
ALTER TABLE sessions ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_expired ON sessions (disconnected_at) WHERE expired = 1;

-- Who may do what only one may do at a time. Owner: the holder. A row whose time is over is as good as none.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
