-- The address of a webhook may carry a key. A notice says only which setting has the address (`config:alerts.webhook`); the
-- daemon that sends it looks there.

-- What is stored in place of an address that a daemon of the previous version stored: the setting that such notices come from.
CREATE OR REPLACE FUNCTION majlis_notice_reference(p_kind text, p_target text, p_body text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_kind <> 'webhook' OR p_target LIKE 'config:%' THEN p_target
        WHEN p_body LIKE '{"event":"escalated",%' THEN 'config:escalation.notify_webhook'
        ELSE 'config:alerts.webhook' END
$$;

-- Those that are still to be sent keep theirs until they are.
UPDATE majlis_notices SET target = majlis_notice_reference(kind, target, body)
WHERE kind = 'webhook' AND target NOT LIKE 'config:%' AND (sent_at IS NOT NULL OR given_up_at IS NOT NULL);

-- The due notices, as in 013; those with a reference only for a daemon that understands it (`p_references`).
CREATE OR REPLACE FUNCTION majlis_claim_notices(
    p_kind text, p_limit integer, p_lease_seconds double precision, p_references boolean)
RETURNS SETOF majlis_notices LANGUAGE sql AS $$
    WITH held AS MATERIALIZED (
        SELECT n.id FROM majlis_notices n
        WHERE n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= now() AND n.kind = p_kind
          AND (p_references OR n.target NOT LIKE 'config:%')
          AND NOT EXISTS (
              SELECT FROM majlis_notices e
              WHERE e.kind = n.kind AND e.instance = n.instance AND e.target = n.target AND e.id < n.id
                AND e.sent_at IS NULL AND e.given_up_at IS NULL)
        ORDER BY n.due_at, n.id LIMIT p_limit
        FOR UPDATE OF n SKIP LOCKED
    )
    UPDATE majlis_notices n SET due_at = clock_timestamp() + p_lease_seconds * interval '1 second'
    FROM held WHERE n.id = held.id
    RETURNING n.*
$$;

-- For daemons of the previous version, which would take a reference for a wrong address and give the notice up.
CREATE OR REPLACE FUNCTION majlis_claim_notices(p_kind text, p_limit integer, p_lease_seconds double precision)
RETURNS SETOF majlis_notices LANGUAGE sql AS $$
    SELECT * FROM majlis_claim_notices(p_kind, p_limit, p_lease_seconds, false)
$$;

-- It arrived, as in 021.
CREATE OR REPLACE FUNCTION majlis_notice_sent(p_id bigint, p_message_id text) RETURNS void LANGUAGE sql AS $$
    UPDATE majlis_notices
    SET sent_at = now(), reason = NULL, tries = tries + 1, gateway_message_id = nullif(p_message_id, ''),
        target = majlis_notice_reference(kind, target, body)
    WHERE id = p_id AND sent_at IS NULL AND gateway_message_id IS NULL;
    UPDATE majlis_notices n SET sent_at = NULL, given_up_at = now(), reason = f.reason
    FROM majlis_later_failures f
    WHERE n.id = p_id AND n.sent_at IS NOT NULL AND f.instance = n.instance AND f.message_id = p_message_id
$$;

CREATE OR REPLACE FUNCTION majlis_notice_sent(p_id bigint) RETURNS void LANGUAGE sql AS $$
    SELECT majlis_notice_sent(p_id, '')
$$;

-- It did not arrive, as far as is known, as in 013. `p_delay_seconds` NULL: no further attempt.
CREATE OR REPLACE FUNCTION majlis_notice_failed(
    p_id bigint, p_token timestamptz, p_reason text, p_burn boolean, p_delay_seconds double precision)
RETURNS void LANGUAGE sql AS $$
    UPDATE majlis_notices
    SET reason = p_reason, tries = tries + p_burn::integer,
        due_at = coalesce(now() + p_delay_seconds * interval '1 second', due_at),
        given_up_at = CASE WHEN p_delay_seconds IS NULL THEN now() END,
        target = CASE WHEN p_delay_seconds IS NULL THEN majlis_notice_reference(kind, target, body) ELSE target END
    WHERE id = p_id AND due_at = p_token AND sent_at IS NULL AND given_up_at IS NULL
$$;
