-- What rooms' scripts have reported of players, for operators. Owner: the host of the room, which may write a report again. The latest
-- 100,000 are kept, for 90 days; all of a player's are deleted when the player is erased.
CREATE TABLE reports (
    room BLOB NOT NULL CHECK (length(room) = 16),
    -- The number of the room's output: the record, and the place among its outputs.
    "offset" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    kind TEXT NOT NULL,
    session BLOB NOT NULL CHECK (length(session) = 16),
    player TEXT NOT NULL,
    name TEXT NOT NULL,
    -- By the script, at most 512 bytes.
    reason TEXT NOT NULL,
    -- JSON by the script, at most 4 KiB.
    data TEXT NOT NULL,
    -- By the room's clock.
    reported_at INTEGER NOT NULL,
    PRIMARY KEY (room, "offset", "index")
) STRICT, WITHOUT ROWID;
-- They are listed and deleted by time; of reports of one moment, by room and number.
CREATE INDEX reports_by_time ON reports (reported_at, room, "offset", "index");
CREATE INDEX reports_by_player ON reports (player, reported_at);
