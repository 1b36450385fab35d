-- How far each instance's records at the gateway were compared with what was heard. Times are Unix seconds by the
-- gateway's clock; who sweeps, and for how long, goes by the database's.

CREATE TABLE IF NOT EXISTS majlis_sweeps (
    instance    text PRIMARY KEY,
    swept_from  bigint,             -- nothing before it is compared
    swept_until bigint,             -- up to here everything was heard; NULL before the first sweep
    rests       boolean NOT NULL DEFAULT false,     -- paused or not ours: not swept
    rests_until bigint,             -- when the pause ends by itself
    holder      text NOT NULL DEFAULT '',
    held_until  timestamptz NOT NULL DEFAULT '-infinity',
    swept_at    timestamptz         -- when a sweep came to its end
);

-- One daemon at a time sweeps an instance, and none again within `p_within_seconds` of the last time. No row: not now.
CREATE OR REPLACE FUNCTION majlis_claim_sweep(
    p_instance text, p_holder text, p_hold_seconds double precision, p_within_seconds double precision)
RETURNS SETOF majlis_sweeps LANGUAGE sql AS $$
    INSERT INTO majlis_sweeps AS s (instance, holder, held_until)
    VALUES (p_instance, p_holder, now() + p_hold_seconds * interval '1 second')
    ON CONFLICT (instance) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE (s.holder = p_holder OR s.held_until < now())
      AND (s.swept_at IS NULL OR s.swept_at <= now() - p_within_seconds * interval '1 second')
    RETURNING s.*
$$;
