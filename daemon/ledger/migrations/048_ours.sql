-- Since when an instance's messages come through our own door: an event came, or its webhook was set to us and proven.
-- NULL: not that we know, so somebody else may be answering them, and its records are not compared.
ALTER TABLE majlis_sweeps ADD COLUMN IF NOT EXISTS ours_since timestamptz;

-- Those of which something was heard through the door, before this column was there.
UPDATE majlis_sweeps s SET ours_since = now()
FROM (
    SELECT DISTINCT t.instance FROM majlis_turns t
    WHERE EXISTS (
        SELECT FROM jsonb_array_elements(t.messages) AS m (value) WHERE coalesce(m.value ->> 'swept', '') = '')
) heard
WHERE heard.instance = s.instance AND s.ours_since IS NULL
    AND NOT EXISTS (SELECT FROM majlis_connections c WHERE c.instance = s.instance AND c.given_back_at IS NOT NULL);
UPDATE majlis_sweeps SET rests = true, rests_until = NULL WHERE ours_since IS NULL;

-- Events of these came, or the way to us was proven. Returns those that are ours only now: what was written before is for
-- whoever had the messages. One that was given back does not come back by a late repeat; to connect it does that.
CREATE OR REPLACE FUNCTION majlis_note_ours(p_instances text[]) RETURNS SETOF text LANGUAGE sql AS $$
    INSERT INTO majlis_sweeps AS s (instance, ours_since)
    SELECT n.name, now() FROM (SELECT DISTINCT unnest(p_instances) ORDER BY 1) AS n (name)
    WHERE (SELECT r.rule FROM majlis_instance_rule(n.name) r) = ''
        AND NOT EXISTS (SELECT FROM majlis_connections c WHERE c.instance = n.name AND c.given_back_at IS NOT NULL)
    ON CONFLICT (instance) DO UPDATE SET ours_since = now(), rests = true, rests_until = NULL
    WHERE s.ours_since IS NULL
    RETURNING s.instance
$$;
