-- Instances whose webhook at the gateway Majlis has set, and what stood there before: written before it is changed, and
-- kept until it is given back. `former` is sealed, because its headers carry tokens.

CREATE TABLE IF NOT EXISTS majlis_connections (
    instance text PRIMARY KEY CHECK (length(instance) <= 1000),
    key_id   text NOT NULL CHECK (length(key_id) <= 200),
    former   bytea NOT NULL CHECK (length(former) <= 1048576),
    ours     text[] NOT NULL CHECK (cardinality(ours) BETWEEN 1 AND 20),  -- our addresses, the latest first
    set_at   timestamptz NOT NULL DEFAULT now(),
    set_by   text NOT NULL DEFAULT '' CHECK (length(set_by) <= 200)
);
