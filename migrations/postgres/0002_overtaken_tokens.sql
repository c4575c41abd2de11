-- The token that was current when the one before it was used again. An edge that stood still may have done that, with what
-- the client had sent it before it went to another edge: then this is the client's, and good until the current one has
-- shown to have arrived. NULL from then on.
ALTER TABLE sessions ADD COLUMN overtaken_hash BYTEA CHECK (length(overtaken_hash) = 32);
CREATE INDEX sessions_by_overtaken_hash ON sessions (overtaken_hash) WHERE overtaken_hash IS NOT NULL;
