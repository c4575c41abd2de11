-- What rooms see of the claims of the player's token, as a JSON object; NULL without any. They are in the record of each join.
ALTER TABLE sessions ADD COLUMN claims TEXT;
-- The end of that token, in milliseconds since 1970 by its issuer's clock, with the clock skew that is allowed. From then on the
-- session can be resumed with a newer token only. NULL for guests.
ALTER TABLE sessions ADD COLUMN token_expires_at INTEGER;

-- What is drawn once for this store and lasts as long as it does. Owner: the first edge that needs it.
--   guests   signs the tokens of guests: without it, every guest is a new one.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT, WITHOUT ROWID;
