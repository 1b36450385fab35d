-- T2 with T3, and T4 with T5, in half of the statements and with the same results: a turn's row is changed where it is looked
-- for, and not first locked, then read, then changed.

-- Only T2 stores parts, in the transaction that changes their turn: the reference cost each of them a look and a lock. What
-- deletes a turn deletes its parts.
ALTER TABLE majlis_outbox DROP CONSTRAINT IF EXISTS majlis_outbox_turn_id_fkey;

-- T2, as in 050, 039 and 054. What earlier attempts spent stands in the row, under a token of theirs, and is added to what
-- this answer cost.
CREATE OR REPLACE FUNCTION majlis_keep_reply(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
    v_view jsonb;
    v_said jsonb := coalesce(p_answer -> 'answer', p_answer);
    v_rule text := coalesce(p_answer ->> 'rule', '');
    v_ends boolean := v_rule IN ('model_silence', 'shadow');
    v_cut text := coalesce(v_said ->> 'cut', '');
    v_input integer := (v_said ->> 'input_tokens')::integer;
    v_output integer := (v_said ->> 'output_tokens')::integer;
BEGIN
    UPDATE majlis_turns
    SET state = 'answered', answered_at = now(), epoch = p_epoch, answer = v_said ->> 'text', cut = v_cut,
        provider = v_said ->> 'provider', model = v_said ->> 'model',
        input_tokens = CASE WHEN v_cut = '' AND spent_by = '' THEN v_input ELSE majlis_tokens(v_input, input_tokens) END,
        output_tokens = CASE WHEN v_cut = '' AND spent_by = '' THEN v_output
                             ELSE majlis_tokens(v_output, output_tokens) END,
        cost_micros = cost_micros + coalesce((v_said ->> 'cost_micros')::bigint, 0),
        needs_data_collection = coalesce((v_said ->> 'needs_data_collection')::boolean, false),
        requested_fields = ARRAY(SELECT jsonb_array_elements_text(v_said -> 'requested_fields')),
        confidence = (v_said ->> 'confidence')::double precision,
        rule = v_rule, origin = coalesce(p_answer ->> 'origin', ''),
        waterfall = coalesce(p_answer -> 'waterfall', '[]'),
        dead_reason = coalesce(p_answer ->> 'dead_reason', ''), dead_detail = coalesce(p_answer ->> 'dead_detail', '')
    WHERE id = p_turn AND state = 'started'
    RETURNING * INTO v_turn;
    IF NOT FOUND THEN
        v_turn := majlis_hold_turn(p_turn, p_epoch);
        RETURN majlis_turn_view(p_turn);
    END IF;
    PERFORM majlis_fence(v_turn.partition, p_epoch);
    IF v_turn.shadow OR majlis_withholds() THEN
        PERFORM majlis_withhold(v_turn.shadow);
    END IF;
    INSERT INTO majlis_outbox (
        turn_id, part, text, state, claim_token, first_token, last_token, claimed_at, last_claimed_at)
    SELECT p_turn, p.ordinality - 1, p.value, CASE WHEN claim.token <> '' THEN 'sending' ELSE 'pending' END,
           claim.token, claim.token, claim.token, claim.at, claim.at
    FROM jsonb_array_elements_text(p_parts) WITH ORDINALITY AS p (value, ordinality)
    LEFT JOIN LATERAL (SELECT p_answer ->> 'claim' AS token, now() AS at) claim
        ON p.ordinality = 1 AND claim.token <> '' AND NOT v_turn.shadow;
    -- An expired escalation is ended first, because the reply may begin another one. A take-over expires by itself.
    IF p_answer ->> 'hand_back' <> '' THEN
        PERFORM majlis_hand_back(v_turn.instance, v_turn.contact, p_answer ->> 'hand_back', false);
    END IF;
    IF p_answer ->> 'escalation' <> '' THEN
        PERFORM majlis_escalate(v_turn, p_answer ->> 'escalation');
    END IF;
    IF p_answer -> 'notices' <> '[]' THEN
        PERFORM majlis_store_notices(p_answer -> 'notices');
    END IF;
    IF p_answer ->> 'opt_out' <> '' AND NOT v_turn.shadow THEN
        CASE p_answer ->> 'opt_out'
            WHEN 'out' THEN PERFORM majlis_opt_out(v_turn.instance, v_turn.contact);
            WHEN 'in' THEN PERFORM majlis_opt_in(v_turn.instance, v_turn.contact, 'customer');
            ELSE NULL;
        END CASE;
    END IF;
    -- Where Majlis only would have said it, the turn ends here as well: the answer is kept, and what it cost is counted.
    v_view := CASE WHEN v_ends THEN majlis_drop_rest(p_turn, p_epoch, v_rule) ELSE majlis_turn_view(p_turn) END;
    -- Last, for all turns of an instance count in the same rows, and hold them until they are committed. What Majlis says by
    -- itself costs nothing, and is no answer of a responder.
    IF v_rule = '' OR v_ends AND v_said ->> 'provider' NOT IN ('escalation', 'fallback', 'opt_out') THEN
        PERFORM majlis_count_use(v_turn.instance, v_said);
    END IF;
    IF jsonb_typeof(p_answer -> 'cache') = 'object' THEN
        PERFORM majlis_cache_store(v_turn.instance, p_answer -> 'cache', v_said);
    END IF;
    RETURN v_view;
END $$;

-- Daemons before 036 and before 030 say T2 so.
CREATE OR REPLACE FUNCTION majlis_store_reply(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN majlis_keep_reply(p_turn, p_epoch, p_answer, p_parts);
END $$;

CREATE OR REPLACE FUNCTION majlis_record_answer(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN majlis_keep_reply(p_turn, p_epoch, p_answer, p_parts);
END $$;

-- T2 with T3 of part 0, as in 050. Who repeats it waits for the contact's lock, and then finds what the first call stored.
CREATE OR REPLACE FUNCTION majlis_answer(
    p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb, p_token text, p_heed_takeover boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    IF p_token = '' THEN
        RETURN majlis_keep_reply(p_turn, p_epoch, p_answer, p_parts);
    END IF;
    PERFORM majlis_lock_contact(t.instance, t.contact) FROM majlis_turns t WHERE t.id = p_turn;
    IF p_heed_takeover AND EXISTS (
        SELECT FROM majlis_turns t
        WHERE t.id = p_turn AND t.state = 'started' AND majlis_is_taken_over(t.instance, t.contact)
    ) THEN
        PERFORM majlis_keep_reply(p_turn, p_epoch, p_answer || '{"notices": [], "escalation": ""}', p_parts);
        RETURN majlis_drop_rest(p_turn, p_epoch, 'taken_over');
    END IF;
    RETURN majlis_keep_reply(p_turn, p_epoch, p_answer || jsonb_build_object('claim', p_token), p_parts);
END $$;

-- A fact about a claim, as in 018, of a turn whose row the caller holds.
CREATE OR REPLACE FUNCTION majlis_prove_part(
    p_turn bigint, p_part integer, p_token text, p_outcome text, p_message_id text, p_reason text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_part majlis_outbox;
BEGIN
    IF p_token <> '' AND p_outcome = 'sent' THEN
        UPDATE majlis_outbox
        SET state = 'sent', claim_token = NULL, reason = NULL, settled_at = now(),
            gateway_message_id = coalesce(nullif(p_message_id, ''), gateway_message_id)
        WHERE turn_id = p_turn AND part = p_part AND p_token IN (last_token, first_token)
          AND (state <> 'sent' OR gateway_message_id IS NULL AND p_message_id <> '');
        IF FOUND THEN
            RETURN true;
        END IF;
    END IF;
    SELECT * INTO v_part FROM majlis_outbox WHERE turn_id = p_turn AND part = p_part FOR NO KEY UPDATE;
    IF p_token = '' OR p_token IS DISTINCT FROM v_part.last_token AND p_token IS DISTINCT FROM v_part.first_token THEN
        RETURN false;
    ELSIF p_outcome <> 'sent' AND v_part.state = 'sending' AND v_part.claim_token = p_token THEN
        UPDATE majlis_outbox
        SET state = 'pending', claim_token = NULL, reason = nullif(p_reason, ''), settled_at = now(),
            claimed_at = CASE WHEN resends > 0 THEN claimed_at END
        WHERE turn_id = p_turn AND part = p_part;
        RETURN true;
    END IF;
    RETURN p_outcome = 'sent' OR v_part.state = 'pending';
END $$;

CREATE OR REPLACE FUNCTION majlis_prove(
    p_turn bigint, p_part integer, p_token text, p_outcome text, p_message_id text, p_reason text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- The turn's row first, as each step does: a step that reads the parts and then ends the turn comes before or after.
    PERFORM FROM majlis_turns WHERE id = p_turn FOR NO KEY UPDATE;
    RETURN majlis_prove_part(p_turn, p_part, p_token, p_outcome, p_message_id, p_reason);
END $$;

-- What the tables of the business get of a turn that was answered.
CREATE OR REPLACE FUNCTION majlis_store_replies(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_conversations.id%TYPE := p_turn.conversation_id;
    v_reference whatsapp_messages.conversation_id%TYPE := p_turn.conversation_id;
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    WITH spoken AS (
        UPDATE whatsapp_conversations SET last_activity = now() WHERE id = v_conversation RETURNING true
    )
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_reference, 'assistant', o.text, o.gateway_message_id,
           now() + o.part * interval '1 microsecond'
    FROM majlis_outbox o WHERE o.turn_id = p_turn.id AND o.state = 'sent' AND EXISTS (SELECT FROM spoken)
    ORDER BY o.part
    ON CONFLICT DO NOTHING;
END $$;

CREATE OR REPLACE FUNCTION majlis_record_interaction(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_ai_interactions.whatsapp_instance_id%TYPE;
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    v_instance := (SELECT i.id::text FROM whatsapp_instances i WHERE i.instance_name = p_turn.instance
                   ORDER BY i.is_active DESC NULLS LAST, i.id LIMIT 1);
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

-- T4 of the last part with T5, as in 050. Tried whole it is four statements, and any doubt raises: of a claim that is not this
-- part's any more, of the epoch, of what the tables of the business say. Then the fact alone is stored.
CREATE OR REPLACE FUNCTION majlis_settle_last(
    p_turn bigint, p_epoch bigint, p_part integer, p_token text, p_message_id text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
    v_proven boolean;
BEGIN
    BEGIN
        UPDATE majlis_turns t SET state = 'done', finished_at = now(), epoch = p_epoch
        WHERE t.id = p_turn AND t.state = 'answered' AND t.dead_reason = ''
          AND NOT EXISTS (SELECT FROM majlis_outbox o
                          WHERE o.turn_id = p_turn AND o.part <> p_part AND o.state <> 'sent')
        RETURNING * INTO v_turn;
        IF FOUND THEN
            IF NOT majlis_prove_part(p_turn, p_part, p_token, 'sent', p_message_id, '') THEN
                RAISE EXCEPTION 'claim conflict' USING ERRCODE = 'MJ002';
            END IF;
            PERFORM majlis_fence(v_turn.partition, p_epoch);
            IF v_turn.shadow OR majlis_withholds() THEN
                PERFORM majlis_withhold(v_turn.shadow);
            END IF;
            PERFORM majlis_store_replies(v_turn), majlis_record_interaction(v_turn);
            RETURN 'finished';
        END IF;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    v_proven := majlis_prove(p_turn, p_part, p_token, 'sent', p_message_id, '');
    SELECT t.* INTO v_turn FROM majlis_turns t JOIN majlis_partitions p ON p.partition = t.partition AND p.epoch = p_epoch
    WHERE t.id = p_turn;
    IF NOT v_proven THEN  -- of a claim that has no name, or another one by now: as an act
        PERFORM majlis_settle_part(p_turn, p_epoch, p_part, 'sent', p_message_id, '', true);
        RETURN 'settled';
    ELSIF v_turn.id IS NULL THEN
        RETURN 'stale';
    ELSIF v_turn.state = 'done' AND NOT EXISTS (
        SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state NOT IN ('sent', 'failed_later')
    ) THEN
        RETURN 'finished';
    END IF;
    RETURN 'settled';
END $$;

-- As in 019 and 021, in one trigger where there were two.
CREATE OR REPLACE FUNCTION majlis_turn_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM majlis_open_turns WHERE turn_id = OLD.id;
    IF NEW.state IN ('done', 'dead') AND EXISTS (SELECT FROM majlis_later_failures) THEN
        PERFORM majlis_apply_failures(NEW);
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_turn_ended ON majlis_turns;
DROP FUNCTION IF EXISTS majlis_turn_ended();

-- As in 050, of one outcome.
CREATE OR REPLACE FUNCTION majlis_count_outcome(p_instance text, p_outcome text, p_saved jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_hour timestamptz := date_trunc('hour', now(), 'UTC');
    v_input bigint := coalesce((p_saved ->> 'input_tokens')::bigint, 0);
    v_output bigint := coalesce((p_saved ->> 'output_tokens')::bigint, 0);
    v_cost bigint := coalesce((p_saved ->> 'cost_micros')::bigint, 0);
BEGIN
    UPDATE majlis_cache_hours c
    SET questions = c.questions + 1, input_tokens = c.input_tokens + v_input, output_tokens = c.output_tokens + v_output,
        cost_micros = c.cost_micros + v_cost
    WHERE c.instance = p_instance AND c.hour = v_hour AND c.outcome = p_outcome;
    IF NOT FOUND THEN
        INSERT INTO majlis_cache_hours AS c (instance, hour, outcome, questions, input_tokens, output_tokens, cost_micros)
        VALUES (p_instance, v_hour, p_outcome, 1, v_input, v_output, v_cost)
        ON CONFLICT (instance, hour, outcome) DO UPDATE
        SET questions = c.questions + 1, input_tokens = c.input_tokens + excluded.input_tokens,
            output_tokens = c.output_tokens + excluded.output_tokens,
            cost_micros = c.cost_micros + excluded.cost_micros;
    END IF;
END $$;

-- Two outcomes are counted in one order, whoever counts: else two turns might wait for each other.
CREATE OR REPLACE FUNCTION majlis_cache_count(p_instance text, p_cache jsonb, p_saved jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_looked text := p_cache ->> 'looked';
    v_not_kept text := 'not kept: ' || nullif(p_cache ->> 'not_kept', '');
BEGIN
    IF v_not_kept IS NULL THEN
        PERFORM majlis_count_outcome(p_instance, v_looked, p_saved);
    ELSIF v_not_kept < v_looked THEN
        PERFORM majlis_count_outcome(p_instance, v_not_kept, NULL), majlis_count_outcome(p_instance, v_looked, p_saved);
    ELSE
        PERFORM majlis_count_outcome(p_instance, v_looked, p_saved), majlis_count_outcome(p_instance, v_not_kept, NULL);
    END IF;
END $$;

-- As in 054: CREATE OR REPLACE has taken it away.
ALTER FUNCTION majlis_answer(bigint, bigint, jsonb, jsonb, text, boolean) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION majlis_settle_last(bigint, bigint, integer, text, text) SET plan_cache_mode = force_generic_plan;
