-- The steps of a turn, T1 to T5, and its other outcomes. Each is one call, one transaction, and safe to repeat: after a
-- commit whose reply was lost, the call is simply made again.
--
-- Every step first holds its partition's row at the caller's epoch until it commits (majlis_fence). Errors:
--   MJ001  stale epoch: another daemon owns the partition
--   MJ002  claim conflict: this part may not be sent now
--   MJ003  this step is not possible in the state of the turn

CREATE OR REPLACE FUNCTION majlis_fence(p_partition integer, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM majlis_partitions WHERE partition = p_partition AND epoch = p_epoch FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'stale epoch' USING ERRCODE = 'MJ001';
    END IF;
END $$;

-- The turn, locked, with its partition fenced.
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
    RETURN v_turn;
END $$;

CREATE OR REPLACE FUNCTION majlis_out_of_order(p_turn majlis_turns, p_step text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a % turn cannot %', p_turn.state, p_step USING ERRCODE = 'MJ003';
END $$;

CREATE OR REPLACE FUNCTION majlis_turn_view(p_turn bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', t.id, 'state', t.state, 'conversation_id', t.conversation_id, 'moved_to', t.moved_to, 'rule', t.rule,
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

-- T1: begin the turn of a frozen batch, or return the existing one.
CREATE OR REPLACE FUNCTION majlis_begin_turn(p_partition integer, p_epoch bigint, p_batch jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_key text := p_batch ->> 'conversation_key';
    v_number bigint := (p_batch ->> 'number')::bigint;
    v_instance text := p_batch ->> 'instance';
    v_contact text := p_batch ->> 'contact';
    v_lid text := p_batch ->> 'lid';
    v_message_ids text[] := ARRAY(SELECT jsonb_array_elements_text(p_batch -> 'message_ids'));
    v_is_lid boolean := v_contact LIKE '%@lid';
    v_rule text;
    v_instance_id text;
    v_conversation_id text;
    v_moved_to text := '';
    v_turn bigint;
BEGIN
    PERFORM majlis_fence(p_partition, p_epoch);
    PERFORM majlis_lock_contact(v_instance, v_contact);
    SELECT id INTO v_turn FROM majlis_turns
    WHERE conversation_key = v_key AND batch_number = v_number AND message_ids @> v_message_ids
    ORDER BY revision DESC LIMIT 1;
    IF FOUND THEN
        UPDATE majlis_turns SET tries = (p_batch ->> 'tries')::integer
        WHERE id = v_turn AND state IN ('started', 'answered') AND tries <> (p_batch ->> 'tries')::integer;
        RETURN majlis_turn_view(v_turn);
    END IF;

    SELECT r.rule, r.instance_id INTO v_rule, v_instance_id FROM majlis_instance_rule(v_instance) r;
    IF v_rule = '' AND v_is_lid THEN
        SELECT phone INTO v_moved_to FROM majlis_identities WHERE instance = v_instance AND lid = v_contact;
        v_moved_to := coalesce(v_moved_to, '');
    END IF;
    IF v_rule = '' AND v_moved_to = '' THEN
        IF v_lid <> '' AND NOT v_is_lid THEN
            PERFORM majlis_link(v_instance, v_lid, v_contact);
        END IF;
        v_conversation_id := majlis_find_conversation(v_instance_id, v_contact);
        IF EXISTS (
            SELECT FROM majlis_turns
            WHERE conversation_id = v_conversation_id AND state IN ('answered', 'done') AND message_ids @> v_message_ids
        ) THEN
            -- These messages were answered before, under the contact's LID or before the mirror lost its state.
            v_rule := 'duplicate';
        ELSE
            PERFORM majlis_store_messages(v_conversation_id, p_batch -> 'messages');
        END IF;
    END IF;

    INSERT INTO majlis_turns (
        conversation_key, partition, batch_number, revision, lo, hi, why, tries, rule, moved_to, instance, contact,
        messages, message_ids, text, text_hash, conversation_id, epoch, opened_at)
    VALUES (
        v_key, p_partition, v_number,
        (SELECT count(*) FROM majlis_turns WHERE conversation_key = v_key AND batch_number = v_number),
        (p_batch ->> 'lo')::bigint, (p_batch ->> 'hi')::bigint, p_batch ->> 'why', (p_batch ->> 'tries')::integer,
        v_rule, v_moved_to, v_instance, v_contact, p_batch -> 'messages', v_message_ids, p_batch ->> 'text',
        p_batch ->> 'text_hash', v_conversation_id, p_epoch,
        to_timestamp((p_batch ->> 'opened_at_ms')::numeric / 1000))
    RETURNING id INTO v_turn;
    RETURN majlis_turn_view(v_turn);
END $$;

-- T2: store the answer. An existing answer is kept.
CREATE OR REPLACE FUNCTION majlis_record_answer(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state = 'started' THEN
        UPDATE majlis_turns
        SET state = 'answered', answered_at = now(), epoch = p_epoch, answer = p_answer ->> 'text',
            provider = p_answer ->> 'provider', model = p_answer ->> 'model',
            input_tokens = (p_answer ->> 'input_tokens')::integer,
            output_tokens = (p_answer ->> 'output_tokens')::integer
        WHERE id = p_turn;
        INSERT INTO majlis_outbox (turn_id, part, text)
        SELECT p_turn, p.ordinality - 1, p.value
        FROM jsonb_array_elements_text(p_parts) WITH ORDINALITY AS p (value, ordinality);
    END IF;
    RETURN majlis_turn_view(p_turn);
END $$;

-- T3: claim a part before it is sent. Each claim has a new `p_token`, so that only a claim whose own reply was lost can be
-- repeated.
CREATE OR REPLACE FUNCTION majlis_claim_part(
    p_turn bigint, p_epoch bigint, p_part integer, p_resend boolean, p_token text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_part majlis_outbox;
    v_resends integer;
BEGIN
    SELECT * INTO v_part FROM majlis_outbox WHERE turn_id = p_turn AND part = p_part FOR NO KEY UPDATE;
    IF v_part.state = 'sending' AND v_part.claim_token = p_token THEN
        RETURN;
    END IF;
    v_resends := CASE
        WHEN v_part.state = 'pending' THEN v_part.resends
        WHEN v_part.state IN ('sending', 'unknown') AND p_resend AND v_part.may_resend AND v_part.resends = 0 THEN 1
    END;
    IF v_turn.state <> 'answered' OR v_resends IS NULL OR EXISTS (
        SELECT FROM majlis_outbox WHERE turn_id = p_turn AND part < p_part AND state <> 'sent'
    ) THEN
        RAISE EXCEPTION 'claim conflict' USING ERRCODE = 'MJ002';
    END IF;
    UPDATE majlis_outbox
    SET state = 'sending', claim_token = p_token, resends = v_resends, reason = NULL, last_claimed_at = now(),
        claimed_at = CASE WHEN v_resends > 0 THEN coalesce(claimed_at, now()) ELSE now() END
    WHERE turn_id = p_turn AND part = p_part;
END $$;

-- T4: record the outcome of a send. Proof that a part was sent is never overwritten.
CREATE OR REPLACE FUNCTION majlis_settle_part(
    p_turn bigint, p_epoch bigint, p_part integer, p_outcome text, p_message_id text, p_reason text,
    p_may_resend boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_part majlis_outbox;
BEGIN
    SELECT * INTO v_part FROM majlis_outbox WHERE turn_id = p_turn AND part = p_part FOR NO KEY UPDATE;
    IF NOT FOUND OR (v_part.state = 'pending' AND p_outcome = 'unknown') THEN
        PERFORM majlis_out_of_order(v_turn, 'settle a part that was never claimed');
    ELSIF v_part.state = 'sent' THEN
        RETURN;
    END IF;
    UPDATE majlis_outbox
    SET state = CASE p_outcome WHEN 'sent' THEN 'sent' WHEN 'not_sent' THEN 'pending' ELSE 'unknown' END,
        gateway_message_id = nullif(p_message_id, ''),
        reason = nullif(p_reason, ''),
        may_resend = may_resend AND p_may_resend,
        -- A failed resend says nothing about the first send, whose claim remains the start of the search for evidence.
        claimed_at = CASE WHEN p_outcome = 'not_sent' AND resends = 0 THEN NULL ELSE claimed_at END,
        claim_token = NULL,
        settled_at = now()
    WHERE turn_id = p_turn AND part = p_part;
END $$;

-- Stores the sent parts as messages of the conversation; does nothing if it was deleted in the meantime.
CREATE OR REPLACE FUNCTION majlis_store_replies(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_conversations.id%TYPE := p_turn.conversation_id;
    v_reference whatsapp_messages.conversation_id%TYPE := p_turn.conversation_id;
BEGIN
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

-- T5: finish the turn after all parts were sent.
CREATE OR REPLACE FUNCTION majlis_finish_turn(p_turn bigint, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_instance whatsapp_ai_interactions.whatsapp_instance_id%TYPE;
BEGIN
    IF v_turn.state = 'done' THEN
        RETURN;
    ELSIF v_turn.state <> 'answered'
        OR EXISTS (SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state <> 'sent') THEN
        PERFORM majlis_out_of_order(v_turn, 'be finished');
    END IF;
    UPDATE majlis_turns SET state = 'done', finished_at = now(), epoch = p_epoch WHERE id = p_turn;
    PERFORM majlis_store_replies(v_turn);
    v_instance := (SELECT instance_id FROM majlis_instance_rule(v_turn.instance));
    IF v_instance IS NOT NULL THEN
        INSERT INTO whatsapp_ai_interactions (whatsapp_instance_id, user_phone, user_message, metadata, created_at)
        VALUES (v_instance, v_turn.contact, v_turn.text, jsonb_build_object(
            'turn', v_turn.id, 'provider', v_turn.provider, 'model', v_turn.model,
            'input_tokens', v_turn.input_tokens, 'output_tokens', v_turn.output_tokens,
            'messages', cardinality(v_turn.message_ids), 'why', v_turn.why), now());
    END IF;
END $$;

-- End the turn without an answer, by a named rule.
CREATE OR REPLACE FUNCTION majlis_suppress_turn(p_turn bigint, p_epoch bigint, p_rule text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state IN ('suppressed', 'moved') THEN
        RETURN;
    ELSIF v_turn.state NOT IN ('started', 'answered')
        OR EXISTS (SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state <> 'pending') THEN
        PERFORM majlis_out_of_order(v_turn, 'be suppressed');
    END IF;
    UPDATE majlis_turns
    SET state = CASE WHEN p_rule = 'moved' THEN 'moved' ELSE 'suppressed' END, rule = p_rule, finished_at = now(),
        epoch = p_epoch
    WHERE id = p_turn;
END $$;

-- End the turn as a dead letter. Parts that the customer saw are stored as messages and counted in the detail.
CREATE OR REPLACE FUNCTION majlis_bury_turn(p_turn bigint, p_epoch bigint, p_reason text, p_detail text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_parts text;
BEGIN
    IF v_turn.state = 'dead' THEN
        RETURN;
    ELSIF v_turn.state NOT IN ('started', 'answered') THEN
        PERFORM majlis_out_of_order(v_turn, 'be buried');
    END IF;
    SELECT format('parts: %s sent, %s unknown, %s in all', count(*) FILTER (WHERE state = 'sent'),
                  count(*) FILTER (WHERE state IN ('sending', 'unknown')), count(*)) INTO v_parts
    FROM majlis_outbox WHERE turn_id = p_turn
    HAVING bool_or(state <> 'pending');
    UPDATE majlis_turns SET state = 'dead', finished_at = now(), epoch = p_epoch WHERE id = p_turn;
    PERFORM majlis_store_replies(v_turn);
    INSERT INTO majlis_dead_letters (turn_id, reason, detail)
    VALUES (p_turn, p_reason, concat_ws('; ', nullif(p_detail, ''), v_parts));
END $$;
