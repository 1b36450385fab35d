-- What became of the acts of operators, and customers of instances that were set up too late.

-- `done`; `refused`: nothing was changed, `why` is the refusal by its class; `failed`: something broke, and it may be half done.
-- Empty: not known, for the daemon ended first, or it was written by a daemon that kept no outcomes.
ALTER TABLE majlis_audit
    ADD COLUMN IF NOT EXISTS outcome text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS why text NOT NULL DEFAULT '';

-- Where somebody of the business wrote while nobody knew its instance. It lasts a day, as the customers' messages do.
CREATE TABLE IF NOT EXISTS majlis_unknown_own (
    instance text NOT NULL,
    contact  text NOT NULL,  -- a phone number or a LID
    sent_at  timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, contact)
);
CREATE INDEX IF NOT EXISTS majlis_unknown_own_age_idx ON majlis_unknown_own (noted_at);

-- The business wrote in a chat of an unknown instance. Returns whether it is noted: past `p_most` rows it is not.
CREATE OR REPLACE FUNCTION majlis_note_unknown_own(
    p_instance text, p_contacts text[], p_sent_at timestamptz, p_most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM majlis_unknown_own WHERE noted_at < now() - interval '1 day';
    IF (SELECT count(*) FROM majlis_unknown_own) >= p_most THEN
        RETURN false;
    END IF;
    INSERT INTO majlis_unknown_own AS known (instance, contact, sent_at)
    SELECT p_instance, contact, p_sent_at FROM unnest(p_contacts) AS contact
    ON CONFLICT (instance, contact) DO UPDATE
    SET sent_at = greatest(known.sent_at, excluded.sent_at), noted_at = now();
    RETURN true;
END $$;

-- The instances that exist now and of which messages were suppressed within a day because nobody knew them, each with these
-- messages, oldest first: of the `p_names` names that came first, `p_messages` messages each, and only where nobody of the
-- business has written since.
CREATE OR REPLACE FUNCTION majlis_came_too_early(p_names integer, p_messages integer)
RETURNS TABLE (instance text, messages jsonb) LANGUAGE sql STABLE AS $$
    -- What strangers sent is left out first: names that they make up take no place of another.
    WITH early AS (
        SELECT t.id, t.instance, m.value AS message, m.ordinality
        FROM majlis_turns t CROSS JOIN LATERAL jsonb_array_elements(t.messages) WITH ORDINALITY AS m (value, ordinality)
        WHERE t.rule = 'unknown_instance' AND t.created_at > now() - interval '1 day'
          AND NOT coalesce((m.value ->> 'stranger')::boolean, false)
    ), names AS (
        SELECT e.instance FROM early e GROUP BY e.instance ORDER BY min(e.id) LIMIT p_names
    ), each AS (
        SELECT e.instance, e.message, row_number() OVER (PARTITION BY e.instance ORDER BY e.id, e.ordinality) AS place
        FROM early e JOIN names n ON n.instance = e.instance
    )
    SELECT e.instance, jsonb_agg(e.message ORDER BY e.place)
    FROM each e
    WHERE e.place <= p_messages AND (SELECT r.rule FROM majlis_instance_rule(e.instance) r) = ''
      AND NOT EXISTS (
          SELECT FROM majlis_unknown_own o
          WHERE o.instance = e.instance
            AND o.contact IN (e.message ->> 'contact', coalesce(e.message ->> 'lid', ''))
            AND o.sent_at >= to_timestamp(least((e.message ->> 'sent_at')::numeric, 1e11)::double precision))
      AND NOT EXISTS (
          SELECT FROM majlis_own_messages o
          WHERE o.instance = e.instance
            AND (o.contact IN (e.message ->> 'contact', coalesce(e.message ->> 'lid', '')))
            AND o.verdict IN ('silence', 'history', 'pause')
            AND o.sent_at >= to_timestamp(least((e.message ->> 'sent_at')::numeric, 1e11)::double precision))
    GROUP BY e.instance
$$;
