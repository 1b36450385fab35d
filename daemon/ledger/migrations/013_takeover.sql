-- Take-overs, and notices to the business.

-- The latest messages of people of the business in each chat, to recognize those that the gateway posts again.
ALTER TABLE majlis_takeovers ADD COLUMN IF NOT EXISTS message_ids text[] NOT NULL DEFAULT '{}';

CREATE INDEX IF NOT EXISTS majlis_notices_target_idx ON majlis_notices (instance, target, created_at);
CREATE INDEX IF NOT EXISTS majlis_notices_open_idx ON majlis_notices (kind, instance, target, id)
    WHERE sent_at IS NULL AND given_up_at IS NULL;

-- The phone number behind a LID if it is known, else the contact itself.
CREATE OR REPLACE FUNCTION majlis_contact_of(p_instance text, p_contact text, p_lid text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT phone FROM majlis_identities
         WHERE instance = p_instance AND lid = CASE WHEN p_lid = '' THEN p_contact ELSE p_lid END),
        p_contact)
$$;

-- Silence until `p_until` at least; returns until when. An existing take-over is never shortened.
CREATE OR REPLACE FUNCTION majlis_pause(p_instance text, p_contact text, p_until timestamptz, p_message_ids text[])
RETURNS timestamptz LANGUAGE sql AS $$
    INSERT INTO majlis_takeovers AS known (instance, contact, until, message_ids)
    VALUES (p_instance, p_contact, p_until, p_message_ids)
    ON CONFLICT (instance, contact) DO UPDATE
    SET started_at = CASE WHEN known.ended_at IS NULL AND known.until > now() THEN known.started_at ELSE now() END,
        until = CASE WHEN known.ended_at IS NULL THEN greatest(known.until, p_until) ELSE p_until END,
        ended_at = NULL, ended_by = '',
        message_ids = (excluded.message_ids || known.message_ids)[1:20]
    RETURNING until
$$;

-- A take-over by an operator. Returns the seconds it lasts; NULL for an unknown instance.
CREATE OR REPLACE FUNCTION majlis_pause_for(p_instance text, p_contact text, p_seconds double precision)
RETURNS double precision LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT rule FROM majlis_instance_rule(p_instance)) = 'unknown_instance' THEN
        RETURN NULL;
    END IF;
    RETURN extract(epoch FROM majlis_pause(
        p_instance, majlis_contact_of(p_instance, p_contact, ''), now() + p_seconds * interval '1 second', '{}'
    ) - now());
END $$;

-- The normal form for comparing texts that went through a gateway.
CREATE OR REPLACE FUNCTION majlis_plain(p_text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT btrim(regexp_replace(p_text, '[[:space:][:cntrl:]]+', ' ', 'g'))
$$;

-- Whether a message was sent by Majlis itself, by its id or, for a notice, by its text.
CREATE OR REPLACE FUNCTION majlis_is_ours(p_instance text, p_contact text, p_message_id text, p_text text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM majlis_outbox WHERE gateway_message_id = p_message_id)
        OR EXISTS (
            SELECT FROM majlis_notices n
            WHERE n.instance = p_instance AND n.target = ANY (majlis_spellings(p_contact)) AND n.kind = 'whatsapp'
              AND n.created_at > now() - interval '2 days' AND majlis_plain(n.body) = majlis_plain(p_text))
$$;

-- Whether the text equals a send in this conversation whose id is not known (yet), or that may have been sent twice.
CREATE OR REPLACE FUNCTION majlis_is_echo(p_conversation_id text, p_text text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM (SELECT id FROM majlis_turns
                     WHERE conversation_id = p_conversation_id ORDER BY id DESC LIMIT 20) t
        JOIN majlis_outbox o ON o.turn_id = t.id
        WHERE (o.state IN ('sending', 'unknown')
               OR o.state = 'sent' AND (o.gateway_message_id IS NULL OR o.resends > 0))
          AND majlis_plain(o.text) = majlis_plain(p_text))
$$;

-- Store a person's message in the conversation. If a shared table refuses it, the silence matters more than the record.
CREATE OR REPLACE FUNCTION majlis_store_own(p_conversation_id text, p_message_id text, p_text text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'assistant', p_text, p_message_id, now()
    WHERE NOT EXISTS (SELECT FROM whatsapp_messages
                      WHERE conversation_id = v_conversation AND message_id = p_message_id)
    ON CONFLICT DO NOTHING;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    NULL;
END $$;

-- A person of the business wrote in the chat. Returns for how many seconds Majlis is silent there now; NULL if it causes no
-- silence: an unknown instance, a send of our own, a message seen before, one older than the silence it would cause, or
-- one sent before the conversation was handed back.
CREATE OR REPLACE FUNCTION majlis_take_over(
    p_instance text, p_contact text, p_lid text, p_message_id text, p_text text, p_sent_at bigint,
    p_pause_seconds double precision) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    v_sent timestamptz := least(now(), coalesce(to_timestamp(nullif(p_sent_at, 0)), now()));
    v_until timestamptz := v_sent + p_pause_seconds * interval '1 second';
    v_rule text;
    v_instance_id text;
    v_contact text;
    v_conversation_id text;
BEGIN
    SELECT r.rule, r.instance_id INTO v_rule, v_instance_id FROM majlis_instance_rule(p_instance) r;
    IF v_rule = 'unknown_instance' OR v_until <= now() THEN
        RETURN NULL;
    END IF;
    v_contact := majlis_contact_of(p_instance, p_contact, p_lid);
    PERFORM majlis_lock_contact(p_instance, v_contact);
    IF majlis_is_ours(p_instance, v_contact, p_message_id, p_text) OR EXISTS (
        SELECT FROM majlis_takeovers t
        WHERE t.instance = p_instance
          AND t.contact IN (SELECT v_contact UNION ALL
                            SELECT i.lid FROM majlis_identities i WHERE i.instance = p_instance AND i.phone = v_contact)
          -- Timestamps are whole seconds: a message sent in the second of the hand-back counts as sent after it.
          AND (p_message_id = ANY (t.message_ids) OR t.ended_at >= v_sent + interval '1 second')
    ) THEN
        RETURN NULL;
    END IF;
    v_conversation_id := majlis_find_conversation(v_instance_id, v_contact);
    IF majlis_is_echo(v_conversation_id, p_text) THEN
        RETURN NULL;
    END IF;
    PERFORM majlis_store_own(v_conversation_id, p_message_id, p_text);
    -- As long as the two are not linked, a customer's message may come under the LID alone.
    IF p_lid <> '' AND p_lid <> v_contact THEN
        PERFORM majlis_pause(p_instance, p_lid, v_until, ARRAY[p_message_id]);
    END IF;
    RETURN extract(epoch FROM majlis_pause(p_instance, v_contact, v_until, ARRAY[p_message_id]) - now());
END $$;

-- The due notices, leased for `p_lease_seconds`: only the oldest of each target, so that a target gets them in order and one
-- that is down is tried with one notice at a time. `due_at` is the token for settling them; it has changed if the lease
-- expired.
CREATE OR REPLACE FUNCTION majlis_claim_notices(p_kind text, p_limit integer, p_lease_seconds double precision)
RETURNS SETOF majlis_notices LANGUAGE sql AS $$
    WITH held AS MATERIALIZED (
        SELECT n.id FROM majlis_notices n
        WHERE n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= now() AND n.kind = p_kind
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

-- It arrived, even if its lease has expired in the meantime.
CREATE OR REPLACE FUNCTION majlis_notice_sent(p_id bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE majlis_notices SET sent_at = now(), reason = NULL, tries = tries + 1 WHERE id = p_id AND sent_at IS NULL
$$;

-- It did not arrive, as far as is known. `p_delay_seconds` NULL: no further attempt.
CREATE OR REPLACE FUNCTION majlis_notice_failed(
    p_id bigint, p_token timestamptz, p_reason text, p_burn boolean, p_delay_seconds double precision)
RETURNS void LANGUAGE sql AS $$
    UPDATE majlis_notices
    SET reason = p_reason, tries = tries + p_burn::integer,
        due_at = coalesce(now() + p_delay_seconds * interval '1 second', due_at),
        given_up_at = CASE WHEN p_delay_seconds IS NULL THEN now() END
    WHERE id = p_id AND due_at = p_token AND sent_at IS NULL AND given_up_at IS NULL
$$;

-- Deletes notices sent long ago, and those given up much longer ago; returns how many.
CREATE OR REPLACE FUNCTION majlis_forget_notices(p_limit integer) RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM majlis_notices WHERE id IN (
            SELECT id FROM majlis_notices
            WHERE sent_at < now() - interval '7 days' OR given_up_at < now() - interval '30 days'
            LIMIT p_limit)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;
