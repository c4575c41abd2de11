-- What rooms see of the claims of the player's token, as a JSON object; NULL without any. They are in the record of each join.
ALTER TABLE sessions ADD COLUMN claims TEXT;
-- The end of that token, in milliseconds since 1970 by its issuer's clock, with the clock skew that is allowed. From then on the
-- session can be resumed with a newer token only. NULL for guests.
ALTER TABLE sessions ADD COLUMN token_expires_at BIGINT;

-- What is drawn once for the cluster and lasts as long as its store. Owner: the first edge that needs it.
--   guests   signs the tokens of guests: without it, every guest is a new one.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    secret BYTEA NOT NULL CHECK (length(secret) = 32)
);
