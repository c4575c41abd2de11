-- The log that this database belongs to, in one row, written by the first machine that opens both: a broker's topic with
-- records in it that the database has never seen, or another broker's, is not it.
CREATE TABLE log (
    one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    -- The broker cluster's own id; NULL while the brokers do not say it.
    cluster TEXT,
    topic TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- The room's own time at its offset. A timer is due by it, wherever the clocks of machines are.
ALTER TABLE rooms ADD COLUMN clock BIGINT NOT NULL DEFAULT 0;
