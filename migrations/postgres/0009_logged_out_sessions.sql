-- An operator has logged the session out, so its rooms are notified that it has left, and not that it timed out, even when another
-- process notifies them. Set together with `expired`.
ALTER TABLE sessions ADD COLUMN logged_out BOOLEAN NOT NULL DEFAULT false;
