-- Modes of an instance: live, shadow, passthrough, off. What was heard in mode shadow is answered and never sent, and writes
-- nothing but tables of ours: the shared ones (whatsapp_...) are the old system's, which still answers.
--
-- For the rest of a transaction that says so (majlis_withhold) no function here writes to a shared table, and a turn that
-- begins in it is a shadow turn. Each step of a turn takes up what the turn is (majlis_hold_turn), so that no step can forget
-- it. Functions that write there ask majlis_withholds.

CREATE OR REPLACE FUNCTION majlis_withhold(p_on boolean) RETURNS void LANGUAGE sql AS $$
    SELECT set_config('majlis.shadow', CASE WHEN p_on THEN 'on' ELSE 'off' END, true)
$$;

CREATE OR REPLACE FUNCTION majlis_withholds() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('majlis.shadow', true) = 'on', false)
$$;

-- Since when each instance is in its mode. The first daemon that sees a change writes it.
CREATE TABLE IF NOT EXISTS majlis_modes (
    instance text PRIMARY KEY,
    mode     text NOT NULL,
    since    timestamptz NOT NULL
);

-- All messages of the turn that could be answered were heard in mode shadow.
ALTER TABLE majlis_turns ADD COLUMN IF NOT EXISTS shadow boolean NOT NULL DEFAULT false;
ALTER TABLE majlis_turns ALTER COLUMN shadow SET DEFAULT majlis_withholds();

-- The same by instance: no index of majlis_turns is worth what it costs every turn.
CREATE TABLE IF NOT EXISTS majlis_shadow_turns (
    turn_id  bigint PRIMARY KEY,
    instance text NOT NULL
);
CREATE INDEX IF NOT EXISTS majlis_shadow_turns_instance_idx ON majlis_shadow_turns (instance, turn_id);

CREATE OR REPLACE FUNCTION majlis_shadow_began() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_shadow_turns (turn_id, instance) VALUES (NEW.id, NEW.instance) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_shadow_began ON majlis_turns;
CREATE TRIGGER majlis_shadow_began AFTER INSERT ON majlis_turns
    FOR EACH ROW WHEN (NEW.shadow) EXECUTE FUNCTION majlis_shadow_began();

-- What others sent for the business while its instance was in mode shadow, to be laid beside what Majlis would have said.
CREATE TABLE IF NOT EXISTS majlis_overheard (
    instance   text NOT NULL,
    message_id text NOT NULL,
    contact    text NOT NULL,
    sender     text NOT NULL,                    -- `person`, `agent`, `program`
    text       text NOT NULL,
    at         timestamptz NOT NULL,             -- when it was written, as the turns are dated
    arrived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, message_id)
);
CREATE INDEX IF NOT EXISTS majlis_overheard_contact_idx ON majlis_overheard (instance, contact, at);
CREATE INDEX IF NOT EXISTS majlis_overheard_age_idx ON majlis_overheard (arrived_at);

-- A LID's conversation in the shared tables is joined to that of its number when the next message is heard aloud.
ALTER TABLE majlis_identities ADD COLUMN IF NOT EXISTS joined boolean NOT NULL DEFAULT true;

-- Notes the modes of instances as a daemon sees them; `p_before` is what it saw before, empty at its first look. Only who
-- saw the very change writes it, so that a daemon which is late does not undo it. Returns them as they are known now.
CREATE OR REPLACE FUNCTION majlis_note_modes(p_instances text[], p_modes text[], p_before text[])
RETURNS TABLE (instance text, mode text, since double precision, changed boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_seen record;
    v_before text;
BEGIN
    FOR v_seen IN
        SELECT s.instance, s.mode, s.before FROM unnest(p_instances, p_modes, p_before) AS s (instance, mode, before)
        ORDER BY s.instance
    LOOP
        v_before := coalesce((SELECT m.mode FROM majlis_modes m WHERE m.instance = v_seen.instance), 'live');
        -- An instance that was never seen in another mode has always been live.
        INSERT INTO majlis_modes (instance, mode, since)
        VALUES (v_seen.instance, v_seen.mode, CASE v_seen.mode WHEN 'live' THEN '-infinity' ELSE now() END)
        ON CONFLICT DO NOTHING;
        UPDATE majlis_modes m SET mode = v_seen.mode, since = now()
        WHERE m.instance = v_seen.instance AND m.mode <> v_seen.mode AND v_seen.before IN ('', m.mode);
        RETURN QUERY
            SELECT m.instance, m.mode, extract(epoch FROM m.since)::double precision, m.mode <> v_before
            FROM majlis_modes m WHERE m.instance = v_seen.instance;
    END LOOP;
END $$;

-- The turn, locked, with its partition fenced, as in 005; what it is holds for the whole step.
CREATE OR REPLACE FUNCTION majlis_hold_turn(p_turn bigint, p_epoch bigint) RETURNS majlis_turns
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
BEGIN
    SELECT * INTO v_turn FROM majlis_turns WHERE id = p_turn FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such turn' USING ERRCODE = 'MJ003';
    END IF;
    PERFORM majlis_fence(v_turn.partition, p_epoch);
    PERFORM majlis_withhold(v_turn.shadow);
    RETURN v_turn;
END $$;

-- As in 018.
CREATE OR REPLACE FUNCTION majlis_turn_view(p_turn bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
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
    FROM majlis_turns t WHERE t.id = p_turn
$$;

-- T1: what the batch is holds for the whole step. The rest is as before.
CREATE OR REPLACE FUNCTION majlis_open_turn(
    p_partition integer, p_epoch bigint, p_batch jsonb, p_link_numbers boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    PERFORM majlis_withhold(coalesce((p_batch ->> 'shadow')::boolean, false));
    RETURN majlis_begin_turn(p_partition, p_epoch, p_batch, p_link_numbers);
END $$;

-- A daemon of before knows no modes, and would answer aloud: of an instance that is not live it begins no turn. What it is told
-- is a collision, after which it holds the conversation and tries again, until a newer daemon has it.
CREATE OR REPLACE FUNCTION majlis_only_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM majlis_modes m WHERE m.instance = NEW.instance AND m.mode <> 'live') THEN
        RAISE EXCEPTION 'not live' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS majlis_only_live ON majlis_turns;
CREATE TRIGGER majlis_only_live BEFORE INSERT ON majlis_turns
    FOR EACH ROW WHEN (coalesce(current_setting('majlis.shadow', true), '') = '') EXECUTE FUNCTION majlis_only_live();

-- As in 032. Where nothing may be written: the one that there is, or NULL.
CREATE OR REPLACE FUNCTION majlis_find_conversation(p_instance_id text, p_contact text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_conversations.instance_id%TYPE := p_instance_id;
    v_id whatsapp_conversations.id%TYPE;
    v_spellings text[] := majlis_spellings_of(p_instance_id, p_contact);
BEGIN
    SELECT id INTO v_id FROM whatsapp_conversations
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
    UPDATE whatsapp_conversations
    SET status = 'active',
        conversation_data = coalesce(conversation_data::jsonb, '{}')
            || jsonb_build_object('context', coalesce(conversation_data::jsonb -> 'context', '{}')
                                             || '{"reactivated": true}')
    WHERE id = v_id AND status = 'inactive';
    UPDATE whatsapp_conversations SET last_activity = now() WHERE id = v_id;
    RETURN v_id::text;
END $$;

-- As in 004. What is learned where nothing may be written is joined later.
CREATE OR REPLACE FUNCTION majlis_link(p_instance text, p_lid text, p_phone text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM majlis_lock_contact(p_instance, p_phone);
    PERFORM majlis_lock_contact(p_instance, p_lid);
    INSERT INTO majlis_identities AS known (instance, lid, phone, joined)
    VALUES (p_instance, p_lid, p_phone, NOT majlis_withholds())
    ON CONFLICT (instance, lid) DO UPDATE SET phone = excluded.phone, joined = excluded.joined
    WHERE known.phone <> excluded.phone OR excluded.joined AND NOT known.joined;
    IF FOUND AND NOT majlis_withholds() THEN
        PERFORM majlis_join_conversations(
            (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r), p_lid, p_phone);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION majlis_link(p_instance text, p_lid text, p_phone text, p_shadow boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM majlis_withhold(p_shadow);
    PERFORM majlis_link(p_instance, p_lid, p_phone);
END $$;

-- As in 029, without what was heard in mode shadow: the old system stored that.
CREATE OR REPLACE FUNCTION majlis_store_messages(p_conversation_id text, p_messages jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'user', coalesce(old.note, m.value ->> 'text'), majlis_original_id(m.value ->> 'id'),
           least(now(), to_timestamp(s.sent_at)) + (m.ordinality - 1) * interval '1 microsecond'
    FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS m (value, ordinality)
    -- NULL: it was delivered as it was sent, or nobody knows when that was. A second later than now is as good as any.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN (coalesce(m.value ->> 'swept', '') <> '' OR m.value ->> 'aside' = 'backlog')
                         AND (m.value ->> 'sent_at')::numeric > 0
               THEN least((m.value ->> 'sent_at')::numeric, extract(epoch FROM now())::numeric + 1)::double precision
               END AS sent_at) s
    LEFT JOIN LATERAL (
        SELECT rtrim(m.value ->> 'text', ']') || ': ' || left(k.content::text, 300) || ']' AS note
        FROM whatsapp_messages k
        WHERE m.value ->> 'aside' = 'deletion' AND k.content <> '' AND k.conversation_id = v_conversation
          AND k.message_id = majlis_original_id(m.value ->> 'amends')
        LIMIT 1) old ON true
    WHERE NOT (majlis_history_only(m.value) AND coalesce(m.value ->> 'text', '') = '')
      AND NOT coalesce((m.value ->> 'shadow')::boolean, false)
      AND NOT EXISTS (SELECT FROM whatsapp_messages k
                      WHERE k.conversation_id = v_conversation
                        AND k.message_id = majlis_original_id(m.value ->> 'id'))
    ORDER BY m.ordinality
    ON CONFLICT DO NOTHING;
END $$;

-- As in 023.
CREATE OR REPLACE FUNCTION majlis_store_own(
    p_conversation_id text, p_message_id text, p_text text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'assistant', p_text, p_message_id, p_at
    WHERE NOT EXISTS (SELECT FROM whatsapp_messages
                      WHERE conversation_id = v_conversation AND message_id = p_message_id)
    ON CONFLICT DO NOTHING;
EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
    NULL;
END $$;

-- As in 009.
CREATE OR REPLACE FUNCTION majlis_escalate(p_turn majlis_turns, p_reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_turn.instance, p_turn.contact);
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    v_instance := (SELECT instance_id FROM majlis_instance_rule(p_turn.instance));
    IF EXISTS (
        SELECT FROM whatsapp_escalated_conversations
        WHERE whatsapp_instance_id = v_instance AND user_phone = ANY (v_names) AND resolved_at IS NULL
    ) THEN
        RETURN;
    END IF;
    -- An existing table may allow only one row per contact, or only its own words for reasons.
    BEGIN
        INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, reason, escalated_at)
        VALUES (v_instance, p_turn.contact, p_reason, now());
    EXCEPTION
        WHEN unique_violation THEN
            UPDATE whatsapp_escalated_conversations SET resolved_at = NULL, escalated_at = now()
            WHERE whatsapp_instance_id = v_instance AND user_phone = ANY (v_names);
        WHEN datatype_mismatch OR data_exception OR check_violation THEN
            INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, escalated_at)
            VALUES (v_instance, p_turn.contact, now());
    END;
END $$;

-- As in 032.
CREATE OR REPLACE FUNCTION majlis_hand_back(p_instance text, p_contact text, p_by text, p_takeovers boolean)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_instance, p_contact);
    v_escalations integer := 0;
    v_takeovers integer := 0;
BEGIN
    v_instance := (SELECT instance_id FROM majlis_instance_rule(p_instance));
    -- The old system's escalations are its own, whoever asks: an operator, a command of staff, or the time.
    IF NOT (majlis_withholds() OR EXISTS (
        SELECT FROM majlis_modes m WHERE m.instance = p_instance AND m.mode = 'shadow')) THEN
        UPDATE whatsapp_escalated_conversations SET resolved_at = now()
        WHERE whatsapp_instance_id = v_instance AND user_phone = ANY (v_names) AND resolved_at IS NULL;
        GET DIAGNOSTICS v_escalations = ROW_COUNT;
    END IF;
    IF v_escalations > 0 THEN
        BEGIN
            UPDATE whatsapp_escalated_conversations SET resolved_by = p_by
            WHERE whatsapp_instance_id = v_instance AND user_phone = ANY (v_names) AND resolved_at = now();
        EXCEPTION WHEN datatype_mismatch OR data_exception OR integrity_constraint_violation THEN
            NULL;  -- an existing column may only allow their own people; that the escalation ended matters more
        END;
    END IF;
    IF p_takeovers THEN
        UPDATE majlis_takeovers t SET ended_at = now(), ended_by = p_by
        WHERE t.instance = p_instance AND t.contact = ANY (v_names) AND t.ended_at IS NULL AND t.until > now();
        GET DIAGNOSTICS v_takeovers = ROW_COUNT;
    END IF;
    RETURN v_escalations + v_takeovers;
END $$;

-- As in 005.
CREATE OR REPLACE FUNCTION majlis_store_replies(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_conversations.id%TYPE := p_turn.conversation_id;
    v_reference whatsapp_messages.conversation_id%TYPE := p_turn.conversation_id;
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    UPDATE whatsapp_conversations SET last_activity = now() WHERE id = v_conversation;
    IF FOUND THEN
        INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
        SELECT v_reference, 'assistant', o.text, o.gateway_message_id,
               now() + o.part * interval '1 microsecond'
        FROM majlis_outbox o WHERE o.turn_id = p_turn.id AND o.state = 'sent'
        ORDER BY o.part
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- As in 009.
CREATE OR REPLACE FUNCTION majlis_record_interaction(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_ai_interactions.whatsapp_instance_id%TYPE;
BEGIN
    v_instance := (SELECT instance_id FROM majlis_instance_rule(p_turn.instance));
    IF v_instance IS NOT NULL AND NOT majlis_withholds() THEN
        INSERT INTO whatsapp_ai_interactions (whatsapp_instance_id, user_phone, user_message, metadata, created_at)
        VALUES (v_instance, p_turn.contact, p_turn.text, jsonb_strip_nulls(jsonb_build_object(
            'turn', p_turn.id, 'provider', p_turn.provider, 'model', p_turn.model, 'rule', nullif(p_turn.rule, ''),
            'input_tokens', p_turn.input_tokens, 'output_tokens', p_turn.output_tokens,
            'cost_micros', p_turn.cost_micros, 'needs_data_collection', p_turn.needs_data_collection,
            'requested_fields', to_jsonb(p_turn.requested_fields), 'response_quality', p_turn.confidence,
            'messages', cardinality(p_turn.message_ids), 'why', p_turn.why)), now());
    END IF;
END $$;

-- T3, as in 009. Nothing of a shadow turn may be sent, whatever its outbox holds.
CREATE OR REPLACE FUNCTION majlis_claim_part(
    p_turn bigint, p_epoch bigint, p_part integer, p_resend boolean, p_token text, p_heed_takeover boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.shadow THEN
        RAISE EXCEPTION 'claim conflict' USING ERRCODE = 'MJ002';
    ELSIF p_heed_takeover AND majlis_is_taken_over(v_turn.instance, v_turn.contact) THEN
        RAISE EXCEPTION 'taken over' USING ERRCODE = 'MJ004';
    END IF;
    PERFORM majlis_claim_part(p_turn, p_epoch, p_part, p_resend, p_token);
END $$;

-- T2, as in 030. Where Majlis only would have said it, the turn ends here as well: the answer is kept, and what it cost is
-- counted. What it would have recorded of the customer is not.
CREATE OR REPLACE FUNCTION majlis_store_reply(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
    v_view jsonb;
    v_rule text := coalesce(p_answer ->> 'rule', '');
    v_ends boolean := v_rule IN ('model_silence', 'shadow');
BEGIN
    IF coalesce(p_answer ->> 'opt_out', '') = '' AND NOT v_ends THEN
        RETURN majlis_record_answer(p_turn, p_epoch, p_answer, p_parts);
    END IF;
    v_turn := majlis_hold_turn(p_turn, p_epoch);
    v_view := majlis_record_answer(p_turn, p_epoch, p_answer, p_parts);
    IF v_turn.state <> 'started' THEN
        RETURN v_view;
    END IF;
    IF NOT v_turn.shadow THEN
        CASE p_answer ->> 'opt_out'
            WHEN 'out' THEN PERFORM majlis_opt_out(v_turn.instance, v_turn.contact);
            WHEN 'in' THEN PERFORM majlis_opt_in(v_turn.instance, v_turn.contact, 'customer');
            ELSE NULL;
        END CASE;
    END IF;
    IF NOT v_ends THEN
        RETURN v_view;
    END IF;
    -- What Majlis says by itself costs nothing, and is no answer of a responder.
    IF p_answer -> 'answer' ->> 'provider' NOT IN ('escalation', 'fallback', 'opt_out') THEN
        PERFORM majlis_count_use(v_turn.instance, p_answer -> 'answer');
    END IF;
    RETURN majlis_drop_rest(p_turn, p_epoch, v_rule);
END $$;

-- What the old system has stored since then is not told to a shadow turn: it may be the very question, and its answer. NULL: a
-- turn like any other.
CREATE OR REPLACE FUNCTION majlis_heard_before(p_turn bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT least(t.opened_at, (
        SELECT min(to_timestamp(least((m.value ->> 'sent_at')::numeric, 1e11)::double precision))
        FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE (m.value ->> 'sent_at')::numeric > 0 AND NOT majlis_history_only(m.value)))
    FROM majlis_turns t WHERE t.id = p_turn AND t.shadow
$$;

-- As in 023.
CREATE OR REPLACE FUNCTION majlis_history(p_turn bigint, p_max_messages integer, p_max_chars integer)
RETURNS TABLE (sender_type text, content text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_own text[];
    v_before timestamptz := majlis_heard_before(p_turn);
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
          AND (v_before IS NULL OR m.created_at < v_before)
          AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
        ORDER BY m.created_at DESC, m.id DESC
        LIMIT p_max_messages;
END $$;

-- As in 033.
CREATE OR REPLACE FUNCTION majlis_told_history(
    p_turn bigint, p_max_messages integer, p_max_chars integer, p_context_chars integer)
RETURNS TABLE (sender_type text, content text, kind text, contexts jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_conversation_id text;
    v_own text[];
    v_before timestamptz := majlis_heard_before(p_turn);
BEGIN
    SELECT t.conversation_id, t.conversation_id, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE NOT majlis_history_only(m.value)) INTO v_conversation, v_conversation_id, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
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
            -- With a range of one the index of the conversation is the only one in this order.
            FROM (SELECT t.id FROM majlis_turns t
                  WHERE t.conversation_id >= v_conversation_id AND t.conversation_id <= v_conversation_id AND t.id <= p_turn
                  ORDER BY t.conversation_id DESC, t.id DESC LIMIT 20) AS newest
            JOIN majlis_turns t ON t.id = newest.id
            CROSS JOIN LATERAL jsonb_array_elements(t.messages) AS e (value)
            -- Most are text that refers to nothing, and need not be taken apart to see it; a text has no kind.
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

-- As in 034.
CREATE OR REPLACE FUNCTION majlis_others_spoke(p_turn bigint, p_max_messages integer) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_own text[];
    v_before timestamptz := majlis_heard_before(p_turn);
BEGIN
    SELECT t.conversation_id, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE NOT majlis_history_only(m.value)) INTO v_conversation, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    RETURN EXISTS (
        SELECT FROM (
            SELECT m.sender_type::text AS sender, m.message_id::text AS id FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation AND m.content <> ''
              AND (v_before IS NULL OR m.created_at < v_before)
              AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
            ORDER BY m.created_at DESC, m.id DESC LIMIT p_max_messages) said
        WHERE lower(btrim(coalesce(said.sender, ''))) NOT IN ('user', 'customer', 'contact')
          -- A limit, so that each is looked up by the index, and the outbox is not read whole.
          AND (SELECT true FROM majlis_outbox o WHERE o.gateway_message_id = said.id LIMIT 1) IS NULL);
END $$;

-- As in 010; those of the old system since `p_before` are left out, where that is given.
CREATE OR REPLACE FUNCTION majlis_interactions(p_instance text, p_contact text, p_limit integer, p_before timestamptz)
RETURNS TABLE (said text, metadata text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_ai_interactions.whatsapp_instance_id%TYPE;
    v_since timestamptz := coalesce(majlis_handed_back_at(p_instance, p_contact), '-infinity');
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN QUERY
        SELECT newest.user_message::text, newest.metadata::text
        FROM unnest(majlis_names(p_instance, p_contact)) AS spelling
        CROSS JOIN LATERAL (
            SELECT x.user_message, x.metadata, x.created_at FROM whatsapp_ai_interactions x
            WHERE x.whatsapp_instance_id = v_instance AND x.user_phone = spelling AND x.created_at > v_since
              AND (p_before IS NULL OR x.created_at < p_before)
            ORDER BY x.created_at DESC LIMIT p_limit) AS newest
        ORDER BY newest.created_at DESC LIMIT p_limit;
END $$;

-- As in 031, in mode shadow: what others wrote is kept to be compared, whether it is heeded or not. What Majlis itself had
-- sent before is not the old system's.
CREATE OR REPLACE FUNCTION majlis_heed_in_shadow(
    p_instance text, p_contact text, p_lid text, p_message_id text, p_text text, p_sent_at bigint,
    p_pause_seconds double precision, p_sender text, p_verdict text, p_judge boolean, p_personal boolean,
    p_waiting bigint[], p_heeds boolean)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_contact text := majlis_contact_of(p_instance, p_contact, p_lid);
    v_sent timestamptz := least(now(), coalesce(to_timestamp(nullif(least(p_sent_at, 100000000000), 0)), now()));
BEGIN
    PERFORM majlis_withhold(true);
    IF NOT majlis_is_ours(p_instance, v_contact, p_message_id, p_text) THEN
        INSERT INTO majlis_overheard (instance, message_id, contact, sender, text, at)
        VALUES (p_instance, p_message_id, v_contact, p_sender, left(p_text, 4096),
                CASE WHEN v_sent < now() - interval '1 minute' THEN v_sent ELSE now() END)
        ON CONFLICT DO NOTHING;
    END IF;
    IF NOT p_heeds THEN
        RETURN NULL;
    END IF;
    RETURN majlis_heed_own(p_instance, p_contact, p_lid, p_message_id, p_text, p_sent_at, p_pause_seconds, p_sender,
                           p_verdict, p_judge, p_personal, p_waiting);
END $$;
