-- Finds a notice by the gateway's id of its message; built without locking out a running daemon.

CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_notices_gateway_id_idx
    ON majlis_notices (gateway_message_id) WHERE gateway_message_id IS NOT NULL;
