-- The steps of a turn with escalation, take-over, notices and cost. Errors, in addition to those of 005:
--   MJ004  taken over: a person of the business writes in this chat

-- All names of one contact in shared tables: the spellings of its number, and its LIDs.
CREATE OR REPLACE FUNCTION majlis_names(p_instance text, p_contact text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT majlis_spellings(p_contact)
        || ARRAY(SELECT i.lid FROM majlis_identities i WHERE i.instance = p_instance AND i.phone = p_contact)
$$;

-- Whether a person has taken this conversation over, under the phone number or one of its LIDs.
CREATE OR REPLACE FUNCTION majlis_is_taken_over(p_instance text, p_contact text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM majlis_takeovers t
        WHERE t.instance = p_instance AND t.ended_at IS NULL AND t.until > now()
          AND t.contact IN (SELECT p_contact UNION ALL
                            SELECT i.lid FROM majlis_identities i
                            WHERE i.instance = p_instance AND i.phone = p_contact))
$$;

CREATE OR REPLACE FUNCTION majlis_turn_view(p_turn bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', t.id, 'state', t.state, 'conversation_id', t.conversation_id, 'moved_to', t.moved_to, 'rule', t.rule,
        'origin', t.origin, 'dead_reason', t.dead_reason, 'dead_detail', t.dead_detail,
        'parts', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'number', o.part, 'text', o.text, 'state', o.state, 'resends', o.resends, 'may_resend', o.may_resend,
                'claimed_at_ms', (extract(epoch FROM o.claimed_at) * 1000)::bigint,
                'claimed_ago_ms', CASE WHEN o.state IN ('sending', 'unknown') THEN
                    (extract(epoch FROM clock_timestamp() - o.last_claimed_at) * 1000)::bigint END)
                ORDER BY o.part)
            FROM majlis_outbox o WHERE o.turn_id = t.id), '[]'))
    FROM majlis_turns t WHERE t.id = p_turn
$$;

CREATE OR REPLACE FUNCTION majlis_store_notices(p_notices jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO majlis_notices (kind, instance, target, body, once)
    SELECT n ->> 'kind', n ->> 'instance', n ->> 'target', n ->> 'body', nullif(n ->> 'once', '')
    FROM jsonb_array_elements(p_notices) n
    ON CONFLICT (once) DO NOTHING
$$;

-- Escalate the conversation, unless it is escalated already.
CREATE OR REPLACE FUNCTION majlis_escalate(p_turn majlis_turns, p_reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_turn.instance, p_turn.contact);
BEGIN
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

-- Hand the conversation back to Majlis: ends its escalations and take-overs; returns how many there were.
CREATE OR REPLACE FUNCTION majlis_hand_back(p_instance text, p_contact text, p_by text, p_takeovers boolean)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_instance, p_contact);
    v_escalations integer;
    v_takeovers integer := 0;
BEGIN
    v_instance := (SELECT instance_id FROM majlis_instance_rule(p_instance));
    UPDATE whatsapp_escalated_conversations SET resolved_at = now()
    WHERE whatsapp_instance_id = v_instance AND user_phone = ANY (v_names) AND resolved_at IS NULL;
    GET DIAGNOSTICS v_escalations = ROW_COUNT;
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
        WHERE t.instance = p_instance AND t.ended_at IS NULL AND t.until > now()
          AND t.contact IN (SELECT p_contact UNION ALL
                            SELECT i.lid FROM majlis_identities i WHERE i.instance = p_instance AND i.phone = p_contact);
        GET DIAGNOSTICS v_takeovers = ROW_COUNT;
    END IF;
    RETURN v_escalations + v_takeovers;
END $$;

-- T2: store the answer. `p_answer` is the whole reply, with the answer under `answer`; the parts are a separate argument. A
-- daemon of the previous version, still running during an upgrade, sends only the answer. An existing answer is kept.
CREATE OR REPLACE FUNCTION majlis_record_answer(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_said jsonb := coalesce(p_answer -> 'answer', p_answer);
BEGIN
    IF v_turn.state <> 'started' THEN
        RETURN majlis_turn_view(p_turn);
    END IF;
    UPDATE majlis_turns
    SET state = 'answered', answered_at = now(), epoch = p_epoch, answer = v_said ->> 'text',
        provider = v_said ->> 'provider', model = v_said ->> 'model',
        input_tokens = (v_said ->> 'input_tokens')::integer,
        output_tokens = (v_said ->> 'output_tokens')::integer,
        cost_micros = coalesce((v_said ->> 'cost_micros')::bigint, 0),
        needs_data_collection = coalesce((v_said ->> 'needs_data_collection')::boolean, false),
        requested_fields = ARRAY(SELECT jsonb_array_elements_text(v_said -> 'requested_fields')),
        confidence = (v_said ->> 'confidence')::double precision,
        rule = coalesce(p_answer ->> 'rule', ''), origin = coalesce(p_answer ->> 'origin', ''),
        waterfall = coalesce(p_answer -> 'waterfall', '[]'),
        dead_reason = coalesce(p_answer ->> 'dead_reason', ''), dead_detail = coalesce(p_answer ->> 'dead_detail', '')
    WHERE id = p_turn;
    INSERT INTO majlis_outbox (turn_id, part, text)
    SELECT p_turn, p.ordinality - 1, p.value
    FROM jsonb_array_elements_text(p_parts) WITH ORDINALITY AS p (value, ordinality);
    -- An expired escalation is ended first, because the reply may begin another one. A take-over expires by itself.
    IF p_answer ->> 'hand_back' <> '' THEN
        PERFORM majlis_hand_back(v_turn.instance, v_turn.contact, p_answer ->> 'hand_back', false);
    END IF;
    IF p_answer ->> 'escalation' <> '' THEN
        PERFORM majlis_escalate(v_turn, p_answer ->> 'escalation');
    END IF;
    PERFORM majlis_store_notices(p_answer -> 'notices');
    IF coalesce(p_answer ->> 'rule', '') = '' THEN
        PERFORM majlis_count_use(v_turn.instance, v_said);
    END IF;
    IF jsonb_typeof(p_answer -> 'cache') = 'object' THEN
        PERFORM majlis_cache_store(v_turn.instance, p_answer -> 'cache', v_said);
    END IF;
    RETURN majlis_turn_view(p_turn);
END $$;

CREATE OR REPLACE FUNCTION majlis_count_use(p_instance text, p_answer jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO majlis_usage AS used (instance, day, answers, cached, input_tokens, output_tokens, cost_micros)
    VALUES (p_instance, (now() AT TIME ZONE 'UTC')::date, 1, (p_answer ->> 'provider' = 'cache')::integer,
            (p_answer ->> 'input_tokens')::bigint, (p_answer ->> 'output_tokens')::bigint,
            coalesce((p_answer ->> 'cost_micros')::bigint, 0))
    ON CONFLICT (instance, day) DO UPDATE
    SET answers = used.answers + 1, cached = used.cached + excluded.cached,
        input_tokens = used.input_tokens + excluded.input_tokens,
        output_tokens = used.output_tokens + excluded.output_tokens,
        cost_micros = used.cost_micros + excluded.cost_micros
$$;

-- T3: claim a part, unless a person has taken the conversation over in the meantime.
CREATE OR REPLACE FUNCTION majlis_claim_part(
    p_turn bigint, p_epoch bigint, p_part integer, p_resend boolean, p_token text, p_heed_takeover boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF p_heed_takeover AND majlis_is_taken_over(v_turn.instance, v_turn.contact) THEN
        RAISE EXCEPTION 'taken over' USING ERRCODE = 'MJ004';
    END IF;
    PERFORM majlis_claim_part(p_turn, p_epoch, p_part, p_resend, p_token);
END $$;

CREATE OR REPLACE FUNCTION majlis_record_interaction(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_ai_interactions.whatsapp_instance_id%TYPE;
BEGIN
    v_instance := (SELECT instance_id FROM majlis_instance_rule(p_turn.instance));
    IF v_instance IS NOT NULL THEN
        INSERT INTO whatsapp_ai_interactions (whatsapp_instance_id, user_phone, user_message, metadata, created_at)
        VALUES (v_instance, p_turn.contact, p_turn.text, jsonb_strip_nulls(jsonb_build_object(
            'turn', p_turn.id, 'provider', p_turn.provider, 'model', p_turn.model, 'rule', nullif(p_turn.rule, ''),
            'input_tokens', p_turn.input_tokens, 'output_tokens', p_turn.output_tokens,
            'cost_micros', p_turn.cost_micros, 'needs_data_collection', p_turn.needs_data_collection,
            'requested_fields', to_jsonb(p_turn.requested_fields), 'response_quality', p_turn.confidence,
            'messages', cardinality(p_turn.message_ids), 'why', p_turn.why)), now());
    END IF;
END $$;

-- T5: finish the turn.
CREATE OR REPLACE FUNCTION majlis_finish_turn(p_turn bigint, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state = 'done' THEN
        RETURN;
    ELSIF v_turn.state = 'answered' AND v_turn.dead_reason <> '' THEN
        -- A daemon of the previous version may finish a fallback message: the dead letter is kept all the same.
        PERFORM majlis_bury_turn(p_turn, p_epoch, v_turn.dead_reason, v_turn.dead_detail);
        RETURN;
    ELSIF v_turn.state <> 'answered'
        OR EXISTS (SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state <> 'sent') THEN
        PERFORM majlis_out_of_order(v_turn, 'be finished');
    END IF;
    UPDATE majlis_turns SET state = 'done', finished_at = now(), epoch = p_epoch WHERE id = p_turn;
    PERFORM majlis_store_replies(v_turn);
    PERFORM majlis_record_interaction(v_turn);
END $$;

-- End the turn without an answer, by a named rule; stores the trace of its lookups.
CREATE OR REPLACE FUNCTION majlis_suppress_turn(p_turn bigint, p_epoch bigint, p_rule text, p_waterfall jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM majlis_suppress_turn(p_turn, p_epoch, p_rule);
    UPDATE majlis_turns SET waterfall = p_waterfall WHERE id = p_turn AND p_waterfall <> '[]';
END $$;

-- End the turn as it is: unsent parts are dropped for good. A part with an unknown outcome stays unknown, because it may
-- have arrived.
CREATE OR REPLACE FUNCTION majlis_drop_rest(p_turn bigint, p_epoch bigint, p_rule text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state = 'started' OR v_turn.state = 'answered' AND NOT EXISTS (
        SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state NOT IN ('pending', 'dropped')
    ) THEN
        UPDATE majlis_outbox SET state = 'dropped' WHERE turn_id = p_turn;
        UPDATE majlis_turns SET state = 'suppressed', rule = p_rule, finished_at = now(), epoch = p_epoch
        WHERE id = p_turn;
    ELSIF v_turn.state = 'answered' THEN
        UPDATE majlis_outbox SET state = CASE state WHEN 'pending' THEN 'dropped' ELSE 'unknown' END, reason = p_rule
        WHERE turn_id = p_turn AND state IN ('pending', 'sending', 'unknown');
        UPDATE majlis_turns SET state = 'done', rule = p_rule, finished_at = now(), epoch = p_epoch
        WHERE id = p_turn RETURNING * INTO v_turn;
        PERFORM majlis_store_replies(v_turn);
        PERFORM majlis_record_interaction(v_turn);
    END IF;
    RETURN majlis_turn_view(p_turn);
END $$;
