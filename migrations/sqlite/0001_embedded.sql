-- The embedded store: what an edge and a host must find again after a restart, and what operators list.
-- Everything about rooms is a projection of the log: losing these tables loses no game, only the way to find it fast.
--
-- Ids of 128 bits are BLOBs of 16 bytes, big endian; digests and hashes are BLOBs of 32. Times are milliseconds since
-- 1970: those named *_at with a default by this database's clock, the rooms' own by the log's (so that a replay writes
-- the same). Tables with a BLOB for a key are WITHOUT ROWID: one tree to look into, not two.

-- Machines that have not been closed. One row per life of an edge or host; deleted when it ends in good order, or when
-- a successor has cleaned up after it: whatever else is here is dead.
CREATE TABLE machines (
    -- AUTOINCREMENT, since a number must never come again: an id names one life.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    role TEXT NOT NULL,
    registered_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) STRICT;

-- The partitions of the log: their number is the number of rows, written once.
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    -- Below this offset every room is in its snapshot: the log may forget what is before it.
    checkpoint INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Seats of players. Owner: the edge that the session is connected to. Deleted when the session ends or expires.
CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    player TEXT NOT NULL,
    name TEXT NOT NULL,
    edge TEXT NOT NULL,
    -- SHA-256 of the resume token: who reads this table cannot take anybody's seat.
    resume_hash BLOB NOT NULL UNIQUE CHECK (length(resume_hash) = 32),
    -- The token that the current one replaced. The `welcome` that brought the current one may have been lost, so the
    -- one before it is good until the client has shown that it has the current one. NULL from then on.
    previous_hash BLOB CHECK (length(previous_hash) = 32),
    -- NULL while connected. Sessions that stay disconnected expire.
    disconnected_at INTEGER,
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_previous_hash ON sessions (previous_hash) WHERE previous_hash IS NOT NULL;
-- For cleaning up after a dead edge.
CREATE INDEX sessions_by_edge ON sessions (edge);
CREATE INDEX sessions_by_disconnection ON sessions (disconnected_at) WHERE disconnected_at IS NOT NULL;

-- Which rooms a session is in, written before the room is told: a resume sees all of them, and perhaps one more.
CREATE TABLE memberships (
    session BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    room BLOB NOT NULL CHECK (length(room) = 16),
    -- The order of joining within the session. A time could repeat.
    position INTEGER NOT NULL,
    PRIMARY KEY (session, room)
) STRICT, WITHOUT ROWID;

-- What a host knows of its rooms, for lists and for waking them. Owner: the host of the room's partition.
CREATE TABLE rooms (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- The record that this row is after. A host that was replaced and does not know it yet must not take rows back.
    "offset" INTEGER NOT NULL,
    kind TEXT NOT NULL,
    component BLOB NOT NULL CHECK (length(component) = 32),
    status TEXT NOT NULL CHECK (status IN ('live', 'ended', 'failed')),
    -- The room that created this one; NULL for the lobby and for rooms made by operators.
    creator BLOB CHECK (length(creator) = 16),
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    -- JSON: what the room ended with. Of a failed one, a JSON text that says why.
    outcome TEXT,
    -- When the room wants to be woken; NULL when never.
    next_timer_at INTEGER,
    -- JSON that the script shows to whoever lists rooms.
    metadata TEXT,
    members INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Only rooms with a timer are in it: most have none.
CREATE INDEX rooms_by_timer ON rooms (next_timer_at, id) WHERE next_timer_at IS NOT NULL;
CREATE INDEX rooms_by_creation ON rooms (created_at);
CREATE INDEX rooms_by_end ON rooms (ended_at) WHERE ended_at IS NOT NULL;

-- The newest snapshot of each live room. Deleted when the room has ended: nothing is ever restored from it again.
-- With a rowid, as states are large: in a tree without, they would lie between the keys.
CREATE TABLE snapshots (
    room BLOB NOT NULL PRIMARY KEY CHECK (length(room) = 16),
    -- The last record that is in it. Only a higher one replaces it.
    "offset" INTEGER NOT NULL,
    -- What ran the room then, and so understands the state.
    component BLOB NOT NULL CHECK (length(component) = 32),
    -- SHA-256 of the state. Two states at one offset mean that the room is not deterministic, or one host is wrong.
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    state BLOB NOT NULL
) STRICT;

-- Components by what they are. Never changed; never deleted, since a log may have to be replayed with one.
CREATE TABLE components (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    wasm BLOB NOT NULL
) STRICT;

-- Which component was which version of which kind. Apart from components: two kinds may share one.
CREATE TABLE versions (
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL REFERENCES components (digest),
    published_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    PRIMARY KEY (kind, version),
    UNIQUE (kind, digest)
) STRICT, WITHOUT ROWID;

-- What new rooms of a kind run.
CREATE TABLE kinds (
    kind TEXT NOT NULL PRIMARY KEY,
    active BLOB NOT NULL REFERENCES components (digest)
) STRICT, WITHOUT ROWID;
