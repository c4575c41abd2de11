-- The guest that the session's player was before it signed in; NULL for all others. A ban of that guest ends the session too.
ALTER TABLE sessions ADD COLUMN guest TEXT;
-- The id of the player's token (`jti`); NULL without one. An operator can log out a token by it.
ALTER TABLE sessions ADD COLUMN token_id TEXT;
-- The network of the latest connection's address (an IPv6 one as its /64), so that an operator can ban it. It is deleted with the
-- session, and is in no other table.
ALTER TABLE sessions ADD COLUMN address TEXT;

-- For lists by player, and for what operators do with a player.
CREATE INDEX sessions_by_player ON sessions (player, id);
CREATE INDEX sessions_by_guest ON sessions (guest, id) WHERE guest IS NOT NULL;
CREATE INDEX sessions_by_token ON sessions (token_id, id) WHERE token_id IS NOT NULL;

-- Who may not play. Owner: operators. Deleted when it is lifted or has ended.
CREATE TABLE bans (
    -- A player's id (`u:…`, `g:…`), or a network: an edge looks up an address by the networks around it, which are 49 at most.
    target TEXT NOT NULL PRIMARY KEY,
    -- For the player.
    reason TEXT NOT NULL,
    -- For operators.
    note TEXT,
    created_at INTEGER NOT NULL,
    -- NULL: until it is lifted.
    ends_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX bans_by_end ON bans (ends_at) WHERE ends_at IS NOT NULL;

-- Tokens that are refused before they end. Owner: operators. Deleted when they would have ended, as far as an operator knows.
CREATE TABLE logouts (
    -- player: its tokens that were issued at `at` or before. token: the token with this id.
    kind TEXT NOT NULL CHECK (kind IN ('player', 'token')),
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX logouts_by_end ON logouts (ends_at);
