-- The session was new when its connection was lost, had sent no message and was in no other room than the lobby: it expires
-- soon, so that a client that opens many of them does not fill this table for a day. Reset when it is resumed.
ALTER TABLE sessions ADD COLUMN silent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_silent ON sessions (disconnected_at) WHERE silent = 1;
