-- What tells whether this database and its log are whole and belong together, in one row. Owner: the process that has the
-- data directory.
CREATE TABLE data (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- The id that the log carries too (core/src/pairing.rs); NULL until the two were opened together.
    id BLOB CHECK (length(id) = 16),
    -- Processes that have used it together with its log.
    life INTEGER NOT NULL DEFAULT 0,
    -- Whether the log is known to carry the same life.
    settled INTEGER NOT NULL DEFAULT 0,
    -- 0: closed in good order. 1 and 2: open. The 1 is in the database file itself, the 2 after it only in the write-ahead
    -- log, so that a file that says 1 and has no write-ahead log has lost that, and the commits in it. Where SQLite has
    -- moved the whole log into the file and deleted it, the file says 2.
    open INTEGER NOT NULL DEFAULT 0,
    -- The latest time that the process knew, written with each checkpoint of the log. The next one does not begin before it.
    clock INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO data (one) VALUES (1);

-- The room's own time at its offset. A timer is due by it, wherever the clocks of machines are.
ALTER TABLE rooms ADD COLUMN clock INTEGER NOT NULL DEFAULT 0;
