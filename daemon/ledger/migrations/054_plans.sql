-- What the steps and the lookups of a turn cost the server: fewer calls and statements in them, and plans that are kept.

-- A number of a country where each has one address: its beginning shows it. Planned into whatever asks.
CREATE OR REPLACE FUNCTION majlis_has_one_form(p_contact text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT left(p_contact, 2) NOT IN ('55', '52', '54') AND p_contact ~ '^[0-9]+$'
$$;

-- As in 032. Each step of a turn asks for the names of its contact, and most numbers have one form.
CREATE OR REPLACE FUNCTION majlis_spellings(p_instance text, p_contact text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF majlis_has_one_form(p_contact) THEN
        RETURN ARRAY[p_contact, p_contact || '@s.whatsapp.net', '+' || p_contact];
    ELSIF cardinality(majlis_number_forms(p_contact)) > 1
        AND EXISTS (SELECT FROM majlis_unlinked u WHERE u.instance = p_instance) THEN
        RETURN ARRAY[p_contact, '+' || p_contact, p_contact || '@s.whatsapp.net'];
    END IF;
    RETURN majlis_spellings(p_contact);
END $$;

CREATE OR REPLACE FUNCTION majlis_names(p_instance text, p_contact text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_spellings text[];
BEGIN
    IF majlis_has_one_form(p_contact) THEN
        v_spellings := ARRAY[p_contact, p_contact || '@s.whatsapp.net', '+' || p_contact];
    ELSE
        v_spellings := majlis_spellings(p_instance, p_contact);
    END IF;
    RETURN v_spellings || ARRAY(SELECT i.lid FROM majlis_identities i
                                WHERE i.instance = p_instance AND i.phone = ANY (v_spellings));
END $$;

-- As in 039. In a language whose plans are kept: a server before 18 plans a function in SQL anew for each statement.
CREATE OR REPLACE FUNCTION majlis_turn_view(p_turn bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object(
        'id', t.id, 'state', t.state, 'conversation_id', t.conversation_id, 'moved_to', t.moved_to, 'rule', t.rule,
        'origin', t.origin, 'dead_reason', t.dead_reason, 'dead_detail', t.dead_detail, 'shadow', t.shadow,
        'parts', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'number', o.part, 'text', o.text,
                'state', CASE o.state WHEN 'failed_later' THEN 'sent' ELSE o.state END,
                'resends', o.resends, 'may_resend', o.may_resend,
                'first_token', coalesce(o.first_token, ''), 'token', coalesce(o.last_token, ''),
                'claimed_at_ms', (extract(epoch FROM o.claimed_at) * 1000)::bigint,
                'first_claim_ago_ms', CASE WHEN o.claimed_at IS NOT NULL AND o.state <> 'sent' THEN
                    greatest(0, extract(epoch FROM clock_timestamp() - o.claimed_at) * 1000)::bigint END,
                'open_ago_ms', a.open_ago_ms, 'claimed_ago_ms', a.open_ago_ms)
                ORDER BY o.part)
            FROM majlis_outbox o
            CROSS JOIN LATERAL (
                SELECT CASE o.state
                    WHEN 'sending' THEN o.last_claimed_at
                    WHEN 'unknown' THEN greatest(o.last_claimed_at, o.settled_at)
                END AS since
            ) s
            CROSS JOIN LATERAL (
                SELECT CASE WHEN s.since IS NOT NULL
                    THEN greatest(0, extract(epoch FROM clock_timestamp() - s.since) * 1000)::bigint
                END AS open_ago_ms
            ) a
            WHERE o.turn_id = t.id), '[]'))
    FROM majlis_turns t WHERE t.id = p_turn);
END $$;

-- As in 036, reading of the turn what is needed.
CREATE OR REPLACE FUNCTION majlis_keep_reply(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn record;
    v_view jsonb;
    v_cut text := coalesce(p_answer -> 'answer' ->> 'cut', '');
BEGIN
    SELECT state, spent_by, input_tokens, output_tokens, cost_micros INTO v_turn
    FROM majlis_turns WHERE id = p_turn FOR NO KEY UPDATE;
    v_view := majlis_store_reply(p_turn, p_epoch, p_answer, p_parts);
    IF v_turn.state = 'started' AND (v_cut <> '' OR v_turn.spent_by <> '') THEN
        UPDATE majlis_turns
        SET cut = v_cut, input_tokens = majlis_tokens(input_tokens, v_turn.input_tokens),
            output_tokens = majlis_tokens(output_tokens, v_turn.output_tokens),
            cost_micros = cost_micros + v_turn.cost_micros
        WHERE id = p_turn;
    END IF;
    RETURN v_view;
END $$;

-- As in 050. The turn is locked here, and fenced by what follows in either case.
CREATE OR REPLACE FUNCTION majlis_answer(
    p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb, p_token text, p_heed_takeover boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_instance text;
    v_contact text;
    v_state text;
BEGIN
    IF p_token = '' THEN
        RETURN majlis_keep_reply(p_turn, p_epoch, p_answer, p_parts);
    END IF;
    SELECT instance, contact INTO v_instance, v_contact FROM majlis_turns WHERE id = p_turn;
    PERFORM majlis_lock_contact(v_instance, v_contact);
    SELECT state INTO v_state FROM majlis_turns WHERE id = p_turn FOR NO KEY UPDATE;
    IF v_state = 'started' AND p_heed_takeover AND majlis_is_taken_over(v_instance, v_contact) THEN
        PERFORM majlis_keep_reply(p_turn, p_epoch, p_answer || '{"notices": [], "escalation": ""}', p_parts);
        RETURN majlis_drop_rest(p_turn, p_epoch, 'taken_over');
    END IF;
    RETURN majlis_keep_reply(p_turn, p_epoch, p_answer || jsonb_build_object('claim', p_token), p_parts);
END $$;

-- As in 009, in a language whose plans are kept; most answers have none.
CREATE OR REPLACE FUNCTION majlis_store_notices(p_notices jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_notices = '[]' THEN
        RETURN;
    END IF;
    INSERT INTO majlis_notices (kind, instance, target, body, once)
    SELECT n ->> 'kind', n ->> 'instance', n ->> 'target', n ->> 'body', nullif(n ->> 'once', '')
    FROM jsonb_array_elements(p_notices) n
    ON CONFLICT (once) DO NOTHING;
END $$;

-- As in 039. A conversation that is active is not looked at for being inactive.
CREATE OR REPLACE FUNCTION majlis_find_conversation(p_instance_id text, p_contact text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_conversations.instance_id%TYPE := p_instance_id;
    v_id whatsapp_conversations.id%TYPE;
    v_is_inactive boolean;
    v_spellings text[] := majlis_spellings_of(p_instance_id, p_contact);
BEGIN
    SELECT id, status = 'inactive' INTO v_id, v_is_inactive FROM whatsapp_conversations
    WHERE instance_id = v_instance AND user_phone = ANY (v_spellings)
    ORDER BY last_activity DESC NULLS LAST, id DESC LIMIT 1;
    IF majlis_withholds() THEN
        RETURN v_id::text;
    ELSIF NOT FOUND THEN
        INSERT INTO whatsapp_conversations (instance_id, user_phone, status, last_activity)
        VALUES (v_instance, p_contact, 'active', now())
        RETURNING id INTO v_id;
        RETURN v_id::text;
    END IF;
    IF v_is_inactive THEN
        UPDATE whatsapp_conversations
        SET status = 'active',
            conversation_data = coalesce(conversation_data::jsonb, '{}')
                || jsonb_build_object('context', coalesce(conversation_data::jsonb -> 'context', '{}')
                                                 || '{"reactivated": true}')
        WHERE id = v_id AND status = 'inactive';
    END IF;
    UPDATE whatsapp_conversations SET last_activity = now() WHERE id = v_id;
    RETURN v_id::text;
END $$;

-- As in 039. Most conversations are of texts that refer to nothing: whether this one is, is asked first.
CREATE OR REPLACE FUNCTION majlis_told_history(
    p_turn bigint, p_max_messages integer, p_max_chars integer, p_context_chars integer)
RETURNS TABLE (sender_type text, content text, kind text, contexts jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_conversation_id text;
    v_own text[];
    v_shadow boolean;
    v_before timestamptz;
BEGIN
    SELECT t.conversation_id, t.conversation_id, t.shadow, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE NOT majlis_history_only(m.value)) INTO v_conversation, v_conversation_id, v_shadow, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    IF v_shadow THEN
        v_before := majlis_heard_before(p_turn);
    END IF;
    IF NOT EXISTS (
        -- With a range of one the index of the conversation is the only one in this order.
        SELECT FROM (SELECT t.messages FROM majlis_turns t
                     WHERE t.conversation_id >= v_conversation_id AND t.conversation_id <= v_conversation_id
                       AND t.id <= p_turn
                     ORDER BY t.conversation_id DESC, t.id DESC LIMIT 20) AS newest
        WHERE newest.messages @? '$[*] ? (exists (@.context) || exists (@.kind))'
    ) THEN
        RETURN QUERY
            SELECT m.sender_type::text, left(m.content::text, p_max_chars), 'text', NULL::jsonb
            FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation
              AND m.content <> ''
              AND (v_before IS NULL OR m.created_at < v_before)
              AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
            ORDER BY m.created_at DESC, m.id DESC
            LIMIT p_max_messages;
        RETURN;
    END IF;
    RETURN QUERY
        WITH said AS MATERIALIZED (
            SELECT m.sender_type::text AS sender, left(m.content::text, p_max_chars) AS words, m.message_id::text AS id,
                   row_number() OVER (ORDER BY m.created_at DESC, m.id DESC) AS place
            FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation
              AND m.content <> ''
              AND (v_before IS NULL OR m.created_at < v_before)
              AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
            ORDER BY m.created_at DESC, m.id DESC
            LIMIT p_max_messages
        ), referring AS MATERIALIZED (
            SELECT DISTINCT ON (1) majlis_original_id(e.value ->> 'id') AS id, e.value ->> 'kind' AS kind,
                   e.value -> 'context' AS contexts
            FROM (SELECT t.id FROM majlis_turns t
                  WHERE t.conversation_id >= v_conversation_id AND t.conversation_id <= v_conversation_id AND t.id <= p_turn
                  ORDER BY t.conversation_id DESC, t.id DESC LIMIT 20) AS newest
            JOIN majlis_turns t ON t.id = newest.id
            CROSS JOIN LATERAL jsonb_array_elements(t.messages) AS e (value)
            WHERE t.messages @? '$[*] ? (exists (@.context) || exists (@.kind))'
              AND e.value ?| ARRAY['context', 'kind']
        )
        SELECT said.sender, said.words, coalesce(r.kind, 'text'), (
            SELECT jsonb_agg(jsonb_build_object(
                'kind', c.value ->> 'kind', 'id', coalesce(c.value ->> 'id', ''),
                'text', left(coalesce(known.words, c.value ->> 'text', ''), p_context_chars),
                'by', coalesce(known.writer, c.value ->> 'by', '')) ORDER BY c.ordinality)
            FROM jsonb_array_elements(r.contexts) WITH ORDINALITY AS c (value, ordinality)
            LEFT JOIN LATERAL (
                SELECT k.content::text AS words,
                       CASE WHEN lower(btrim(k.sender_type::text)) IN ('user', 'customer', 'contact')
                            THEN 'customer' ELSE 'business' END AS writer
                FROM whatsapp_messages k
                WHERE c.value ->> 'kind' IN ('quote', 'edit', 'reaction') AND k.content <> ''
                  AND k.conversation_id = v_conversation AND k.message_id = c.value ->> 'id'
                LIMIT 1) AS known ON true)
        FROM said LEFT JOIN referring r ON r.id = said.id
        ORDER BY said.place;
END $$;

-- When a person last handed this conversation back, as in 010, by the id of the instance and the names of the contact.
CREATE OR REPLACE FUNCTION majlis_names_handed_back_at(p_instance text, p_instance_id text, p_names text[])
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE := p_instance_id;
BEGIN
    RETURN greatest(
        (SELECT max(e.resolved_at) FROM whatsapp_escalated_conversations e
         WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (p_names)),
        (SELECT max(coalesce(t.ended_at, t.until)) FROM majlis_takeovers t
         WHERE t.instance = p_instance AND t.contact = ANY (p_names) AND coalesce(t.ended_at, t.until) <= now()));
END $$;

CREATE OR REPLACE FUNCTION majlis_handed_back_at(p_instance text, p_contact text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN majlis_names_handed_back_at(
        p_instance, (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r), majlis_names(p_instance, p_contact));
END $$;

-- As in 050. The instance and the names of the contact are looked up once.
CREATE OR REPLACE FUNCTION majlis_standing(
    p_instance text, p_contact text, p_conversation_key text, p_hand_back_seconds double precision,
    p_heed_takeover boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance_id text;
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_instance, p_contact);
    v_taken_over boolean := p_heed_takeover AND majlis_is_taken_over(p_instance, p_contact);
    v_escalated boolean;
    v_escalated_at timestamptz;
    v_expired boolean;
    v_handed_back_at timestamptz;
BEGIN
    v_instance_id := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    v_instance := v_instance_id;
    SELECT count(*) > 0, max(e.escalated_at) INTO v_escalated, v_escalated_at
    FROM whatsapp_escalated_conversations e
    WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (v_names) AND e.resolved_at IS NULL;
    v_expired := v_escalated
        AND coalesce(extract(epoch FROM now() - v_escalated_at) >= p_hand_back_seconds, true);

    IF NOT v_taken_over AND NOT v_escalated THEN
        v_handed_back_at := majlis_names_handed_back_at(p_instance, v_instance_id, v_names);
    END IF;
    RETURN jsonb_build_object(
        'taken_over', v_taken_over, 'escalated', v_escalated, 'escalation_expired', v_expired,
        'handed_back', NOT v_taken_over AND (v_expired OR v_handed_back_at IS NOT NULL
                                             AND NOT majlis_said_since(p_conversation_key, v_handed_back_at, NULL)));
END $$;

-- Plans are kept, from the first call on, in these and in what they call: left to itself the server plans many of the
-- statements anew at every call, for it takes an array that it knows for cheaper than one that it does not. They find their
-- rows by an index, whatever the values are. Not T1: there the best index depends on how much there is of a conversation; and
-- not the history and the pace, of which that was not tried. CREATE OR REPLACE takes it away: who writes one of them anew says
-- it again.
ALTER FUNCTION majlis_answer(bigint, bigint, jsonb, jsonb, text, boolean) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION majlis_settle_last(bigint, bigint, integer, text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION majlis_standing_now(text, text, text, double precision, boolean) SET plan_cache_mode = force_generic_plan;
