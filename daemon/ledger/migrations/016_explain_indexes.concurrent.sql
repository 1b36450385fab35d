-- From a message's id to the turns that it was part of, built without locking out a running daemon.

CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_turns_message_ids_idx
    ON majlis_turns USING gin (message_ids);
