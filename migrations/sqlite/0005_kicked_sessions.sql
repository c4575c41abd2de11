-- Why a room has ended this session; NULL while it has not. The row stays until the session would have expired, so that
-- whoever comes back with its token is told.
ALTER TABLE sessions ADD COLUMN kicked TEXT;
