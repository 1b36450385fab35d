-- Finds the turns of a message by its id; built without locking out a running daemon.

CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_turns_message_ids_idx
    ON majlis_turns USING gin (message_ids);
