-- Indexes for the counts of `majlis status`, built without locking out a running daemon.

CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_takeovers_open_idx
    ON majlis_takeovers (until) WHERE ended_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_escalated_open_idx
    ON whatsapp_escalated_conversations (escalated_at) WHERE resolved_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_notices_given_up_idx
    ON majlis_notices (given_up_at) WHERE given_up_at IS NOT NULL;
