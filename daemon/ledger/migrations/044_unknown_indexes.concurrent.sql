-- Turns of unknown instances: few, and the only ones in it. Their rule stands when they are stored.
CREATE INDEX CONCURRENTLY IF NOT EXISTS majlis_turns_unknown_idx ON majlis_turns (created_at) WHERE rule = 'unknown_instance';
