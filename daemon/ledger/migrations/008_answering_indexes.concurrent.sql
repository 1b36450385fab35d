-- Indexes for the lookups, built without locking out a running daemon.

CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_turns_contact_idx
    ON majlis_turns (conversation_key, answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_outbox_gateway_id_idx
    ON majlis_outbox (gateway_message_id) WHERE gateway_message_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_identities_phone_idx
    ON majlis_identities (instance, phone);
