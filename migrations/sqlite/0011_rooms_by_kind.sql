-- For lists of one kind, latest first. `rooms_by_creation` had to be read whole for them.
CREATE INDEX rooms_by_kind ON rooms (kind, created_at, id);
