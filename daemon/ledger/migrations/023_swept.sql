-- Messages that no webhook brought, found in the gateway's records later. Each has its own time, which may be hours ago, in
-- the history as well. `swept` says how it was found; two of its words mean that the message is not to be answered.

CREATE OR REPLACE FUNCTION majlis_history_only(p_message jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(p_message ->> 'swept', '') IN ('too_old', 'already_answered')
$$;

-- One row per inbound message, in the order the responder sees them, each once even if the turn is retried.
CREATE OR REPLACE FUNCTION majlis_store_messages(p_conversation_id text, p_messages jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'user', m.value ->> 'text', majlis_original_id(m.value ->> 'id'),
           least(now(), to_timestamp(s.sent_at)) + (m.ordinality - 1) * interval '1 microsecond'
    FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS m (value, ordinality)
    -- NULL: it was delivered as it was sent, or nobody knows when that was. A second later than now is as good as any.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN coalesce(m.value ->> 'swept', '') <> '' AND (m.value ->> 'sent_at')::numeric > 0
               THEN least((m.value ->> 'sent_at')::numeric, extract(epoch FROM now())::numeric + 1)::double precision
               END AS sent_at) s
    WHERE NOT EXISTS (SELECT FROM whatsapp_messages k
                      WHERE k.conversation_id = v_conversation
                        AND k.message_id = majlis_original_id(m.value ->> 'id'))
    ORDER BY m.ordinality
    ON CONFLICT DO NOTHING;
END $$;

-- The newest messages of a turn's conversation, newest first, without those of its own batch that are to be answered.
CREATE OR REPLACE FUNCTION majlis_history(p_turn bigint, p_max_messages integer, p_max_chars integer)
RETURNS TABLE (sender_type text, content text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_own text[];
BEGIN
    SELECT t.conversation_id, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE NOT majlis_history_only(m.value)) INTO v_conversation, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    RETURN QUERY
        SELECT m.sender_type::text, left(m.content::text, p_max_chars)
        FROM whatsapp_messages m
        WHERE m.conversation_id = v_conversation
          AND m.content <> ''
          AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
        ORDER BY m.created_at DESC, m.id DESC
        LIMIT p_max_messages;
END $$;

-- Store a person's message in the conversation, as in 013, at the time it was sent.
CREATE OR REPLACE FUNCTION majlis_store_own(
    p_conversation_id text, p_message_id text, p_text text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'assistant', p_text, p_message_id, p_at
    WHERE NOT EXISTS (SELECT FROM whatsapp_messages
                      WHERE conversation_id = v_conversation AND message_id = p_message_id)
    ON CONFLICT DO NOTHING;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    NULL;
END $$;

-- A person of the business wrote in the chat, as in 013. One that comes late is stored at its own time. What came at once is
-- stored at the time it came: the gateway's whole seconds would put it before what the customer said just then.
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
    PERFORM majlis_store_own(v_conversation_id, p_message_id, p_text,
                             CASE WHEN v_sent < now() - interval '1 minute' THEN v_sent ELSE now() END);
    -- As long as the two are not linked, a customer's message may come under the LID alone.
    IF p_lid <> '' AND p_lid <> v_contact THEN
        PERFORM majlis_pause(p_instance, p_lid, v_until, ARRAY[p_message_id]);
    END IF;
    RETURN extract(epoch FROM majlis_pause(p_instance, v_contact, v_until, ARRAY[p_message_id]) - now());
END $$;
