-- The store of a cluster: what edges, hosts and monitors must find again, and what operators list.
-- Everything about rooms is a projection of the log: losing these tables loses no game, only the way to find it fast.
--
-- Ids of 128 bits are BYTEA of 16 bytes, big endian, so that they sort as numbers; digests and hashes are of 32. Times
-- by this database's clock are TIMESTAMPTZ, which an operator can read; the rooms' own are BIGINT, milliseconds since
-- 1970 by the log's clock, so that a replay writes the same. All numbers are BIGINT: one type to bind.
--
-- JSON is TEXT, not JSON or JSONB: what a script has made (deep, or with lone surrogates) must come back byte for byte,
-- and must not make the statement fail that writes its neighbours' rooms too.
--
-- Every statement of ours takes effect alone and may be repeated. They rely on READ COMMITTED: a statement that has
-- waited for a row looks at the row again.
--
-- Binaries of two versions run side by side during an upgrade, so a later migration adds and does not take away. One
-- that older binaries cannot live with raises the setting `needs_migration` to its own number, and they refuse to start.
--
-- To come, with the operators' rollouts: rollouts and rollout_rooms.

-- What is written once and then holds for all.
--   partitions       how many there are. The place of every room in the log follows from it.
--   needs_migration  binaries that do not know this migration must not run.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO settings (name, value) VALUES ('needs_migration', 1);

-- A sequence never gives a number twice, not even one whose transaction was rolled back: an id names one life.
CREATE SEQUENCE incarnations;

-- Machines that have not been closed. Owner: the machine for its heartbeat, the active monitor for the rest. Deleted when
-- a machine leaves in good order, or when the monitor has cleaned up after a dead one.
CREATE TABLE machines (
    -- Role, name if it was given one, incarnation: `edge-left-17`. It is also a part of its topic's name.
    id TEXT PRIMARY KEY,
    incarnation BIGINT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('edge', 'host', 'monitor')),
    name TEXT,
    address TEXT,
    -- Only ever to the right in this list: who was declared dead has lost what it had, even if it was only slow.
    state TEXT NOT NULL DEFAULT 'alive' CHECK (state IN ('alive', 'draining', 'dead')),
    -- By this database's clock, as is whoever compares it: machines' own clocks judge nobody.
    heartbeat_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    registered_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    died_at TIMESTAMPTZ
) WITH (fillfactor = 50); -- Changed every second, and never in a column with an index: the new version fits in its page.

-- The partitions of the rooms' channels. Rows: the setting `partitions`, written once. Owner: the active monitor for who
-- hosts it, hosts for the checkpoint.
CREATE TABLE partitions (
    partition BIGINT PRIMARY KEY,
    -- No reference to machines: a partition stays with its dead host until it is assigned to another.
    host TEXT,
    -- Rises with every assignment; a plan names the epoch that it replaces. 0: never assigned.
    epoch BIGINT NOT NULL DEFAULT 0,
    -- Below this offset every room is in its snapshot. It only rises, so that it needs no check of who says it: a host
    -- that was replaced and does not know it says something old, but true.
    checkpoint BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Who may do what only one may do at a time. Owner: the holder. A row whose time is over is as good as none.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);

-- Seats of players. Owner: the edge that the session is connected to, or was last. Deleted when the session has ended.
CREATE TABLE sessions (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    player TEXT NOT NULL,
    name TEXT NOT NULL,
    edge TEXT NOT NULL,
    -- SHA-256 of the resume token: who reads this table cannot take anybody's seat.
    resume_hash BYTEA NOT NULL UNIQUE CHECK (length(resume_hash) = 32),
    -- The token that the current one replaced. The `welcome` that brought the current one may have been lost, so the
    -- one before it is good until the client has shown that it has the current one. NULL from then on.
    previous_hash BYTEA CHECK (length(previous_hash) = 32),
    -- The other edge that had a connection when the session was resumed last: the answer, if the same call comes again
    -- because its first answer was lost.
    replaced_edge TEXT,
    -- NULL while connected. Sessions that stay disconnected expire.
    disconnected_at TIMESTAMPTZ,
    -- Nobody can resume it any more, but perhaps not every room has been told. The row goes when they have.
    expired BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX sessions_by_previous_hash ON sessions (previous_hash) WHERE previous_hash IS NOT NULL;
-- For cleaning up after a dead edge, a page at a time.
CREATE INDEX sessions_by_edge ON sessions (edge, id);
CREATE INDEX sessions_by_disconnection ON sessions (disconnected_at) WHERE disconnected_at IS NOT NULL;
CREATE INDEX sessions_expired ON sessions (disconnected_at) WHERE expired;

-- Which rooms a session is in, written before the room is told: a resume sees all of them, and perhaps one more.
-- Owner: the session's edge.
CREATE TABLE memberships (
    session BYTEA NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    room BYTEA NOT NULL CHECK (length(room) = 16),
    -- The order of joining within the session. A time could repeat.
    position BIGINT NOT NULL,
    PRIMARY KEY (session, room)
);

-- What a host knows of its rooms, for lists and for waking them. Owner: the host of the room's partition. Rooms that
-- have ended are forgotten after a while.
CREATE TABLE rooms (
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    -- Follows from the id, by a hash that SQL does not have. A host that takes a partition over reads that partition's
    -- timers and no others: without this column it would have to read those of all rooms.
    partition BIGINT NOT NULL,
    -- The record that this row is after. A host that was replaced and does not know it yet must not take rows back.
    "offset" BIGINT NOT NULL,
    kind TEXT NOT NULL,
    component BYTEA NOT NULL CHECK (length(component) = 32),
    status TEXT NOT NULL CHECK (status IN ('live', 'ended', 'failed')),
    -- The room that created this one; NULL for the lobby and for rooms made by operators.
    creator BYTEA CHECK (length(creator) = 16),
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    -- JSON: what the room ended with. Of a failed one, a JSON text that says why.
    outcome TEXT,
    -- When the room wants to be woken; NULL when never.
    next_timer_at BIGINT,
    -- JSON that the script shows to whoever lists rooms.
    metadata TEXT,
    members BIGINT NOT NULL
) WITH (fillfactor = 80); -- Most changes are of columns without an index, and fit in the page.
-- Only rooms with a timer are in it: most have none.
CREATE INDEX rooms_by_timer ON rooms (partition, next_timer_at, id) WHERE next_timer_at IS NOT NULL;
-- For the highest offset of a partition, when a host takes it over.
CREATE INDEX rooms_by_partition ON rooms (partition);
-- For lists, in their order; a swap pages through all rooms of a kind.
CREATE INDEX rooms_by_creation ON rooms (created_at, id);
CREATE INDEX rooms_by_kind ON rooms (kind, created_at, id);
CREATE INDEX rooms_by_end ON rooms (ended_at) WHERE ended_at IS NOT NULL;

-- The newest snapshot of each live room. Owner: the host of the room's partition. Deleted when the room has ended:
-- nothing is ever restored from it again.
CREATE TABLE snapshots (
    room BYTEA PRIMARY KEY CHECK (length(room) = 16),
    -- The last record that is in it. Only a higher one replaces it.
    "offset" BIGINT NOT NULL,
    -- What ran the room then, and so understands the state.
    component BYTEA NOT NULL CHECK (length(component) = 32),
    -- SHA-256 of the state. Two states at one offset mean that the room is not deterministic, or one host is wrong.
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    state BYTEA NOT NULL
);

-- Here and not only in the statement that writes: no binary of any version may ever break these two rules.
CREATE FUNCTION refuse_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The code is ours; the detail is read by the host, which stops the room.
    RAISE EXCEPTION 'a snapshot must be of a higher offset, or equal to the one that is there'
        USING ERRCODE = 'CH001', DETAIL = encode(NEW.room, 'hex') || ' ' || NEW."offset";
END $$;
CREATE TRIGGER only_a_higher_offset_wins BEFORE UPDATE ON snapshots FOR EACH ROW
    WHEN (NEW."offset" < OLD."offset" OR (NEW."offset" = OLD."offset" AND NEW.hash <> OLD.hash))
    EXECUTE FUNCTION refuse_snapshot();

-- Components by what they are. Never changed; never deleted, since a log may have to be replayed with one.
CREATE TABLE components (
    digest BYTEA PRIMARY KEY CHECK (length(digest) = 32),
    wasm BYTEA NOT NULL
);

-- Which component was which version of which kind. Apart from components: two kinds may share one.
CREATE TABLE versions (
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest BYTEA NOT NULL REFERENCES components (digest),
    published_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, version),
    UNIQUE (kind, digest)
);

-- What new rooms of a kind run.
CREATE TABLE kinds (
    kind TEXT PRIMARY KEY,
    active BYTEA NOT NULL REFERENCES components (digest)
);
