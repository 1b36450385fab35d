-- A turn whose customer said more before its answer was stored ends as `superseded`: its batch is widened, and a turn with
-- everything in it takes its place, under the same number and the next revision. T1 knows nothing of the one that ended.
--
-- It stays in majlis_open_turns for as long as one of its messages is no other turn's: if the mirror loses the batch before
-- that other turn has begun, the ledger alone knows of them.

ALTER TABLE majlis_turns DROP CONSTRAINT IF EXISTS majlis_turns_state_check;
ALTER TABLE majlis_turns ADD CONSTRAINT majlis_turns_state_check
    CHECK (state IN ('started', 'answered', 'done', 'suppressed', 'dead', 'moved', 'superseded')) NOT VALID;  -- as in 007

-- `estimated`: what the turn has cost is known by guessing alone, for a call that is cut off tells nobody.
ALTER TABLE majlis_turns ADD COLUMN IF NOT EXISTS estimated boolean NOT NULL DEFAULT false;
ALTER TABLE majlis_usage
    ADD COLUMN IF NOT EXISTS superseded integer NOT NULL DEFAULT 0,
    -- How much of the cost is estimated.
    ADD COLUMN IF NOT EXISTS estimated_micros bigint NOT NULL DEFAULT 0;

-- As in 050. Another turn has the message now; when it was the last one, a superseded turn is over.
CREATE OR REPLACE FUNCTION majlis_note_heard_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_heard_again (message_id, turn_id) VALUES (OLD.message_id, OLD.turn_id) ON CONFLICT DO NOTHING;
    DELETE FROM majlis_open_turns o USING majlis_turns t
    WHERE o.turn_id = OLD.turn_id AND t.id = OLD.turn_id AND t.state = 'superseded'
      AND NOT EXISTS (SELECT FROM majlis_heard h WHERE h.message_id = ANY (t.message_ids) AND h.turn_id = OLD.turn_id);
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS majlis_turn_closed ON majlis_turns;
CREATE TRIGGER majlis_turn_closed AFTER UPDATE OF state ON majlis_turns
    FOR EACH ROW WHEN (OLD.state IN ('started', 'answered', 'superseded')
                       AND NEW.state NOT IN ('started', 'answered', 'superseded'))
    EXECUTE FUNCTION majlis_turn_closed();

-- As in 050. What a superseded turn has left may be heard by another one under the phone number or a LID: it has its end.
CREATE OR REPLACE FUNCTION majlis_note_repeated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_heard_again (message_id, turn_id)
    SELECT DISTINCT id, NEW.id FROM unnest(NEW.message_ids) AS own (id) ON CONFLICT DO NOTHING;
    UPDATE majlis_heard h SET turn_id = NEW.id FROM majlis_turns t
    WHERE h.message_id = ANY (NEW.message_ids) AND h.conversation_key = NEW.conversation_key
      AND t.id = h.turn_id AND t.state = 'superseded';
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_note_repeated ON majlis_turns;
CREATE TRIGGER majlis_note_repeated AFTER INSERT ON majlis_turns
    FOR EACH ROW WHEN (NEW.rule = 'duplicate') EXECUTE FUNCTION majlis_note_repeated();

-- End the turn, with what its call cost. Its place among the turns of the minute is free: whatever takes its place takes one
-- of its own. Nothing happens to a turn that is not `started`. Idempotent; returns the turn as it is then.
CREATE OR REPLACE FUNCTION majlis_supersede(
    p_turn bigint, p_epoch bigint, p_spent jsonb, p_estimated boolean, p_waterfall jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_input bigint := (p_spent ->> 'input_tokens')::bigint;
    v_output bigint := (p_spent ->> 'output_tokens')::bigint;
    v_cost bigint := (p_spent ->> 'cost_micros')::bigint;
BEGIN
    IF v_turn.state = 'started' THEN
        UPDATE majlis_turns
        SET state = 'superseded', finished_at = now(), epoch = p_epoch, estimated = p_estimated,
            waterfall = p_waterfall, input_tokens = majlis_tokens(input_tokens, v_input),
            output_tokens = majlis_tokens(output_tokens, v_output), cost_micros = cost_micros + v_cost
        WHERE id = p_turn;
        DELETE FROM majlis_places WHERE turn_id = p_turn;
        INSERT INTO majlis_usage AS used (
            instance, day, input_tokens, output_tokens, cost_micros, superseded, estimated_micros)
        VALUES (v_turn.instance, (now() AT TIME ZONE 'UTC')::date, v_input, v_output, v_cost, 1,
                CASE WHEN p_estimated THEN v_cost ELSE 0 END)
        ON CONFLICT (instance, day) DO UPDATE
        SET input_tokens = used.input_tokens + excluded.input_tokens,
            output_tokens = used.output_tokens + excluded.output_tokens,
            cost_micros = used.cost_micros + excluded.cost_micros, superseded = used.superseded + 1,
            estimated_micros = used.estimated_micros + excluded.estimated_micros;
    END IF;
    RETURN majlis_turn_view(p_turn);
END $$;

-- Whether the mirror has lost that this batch was widened: the turn that has begun holds more. What it would be asked is not
-- what the turn is about, so it is superseded. What it had besides is unfinished until another turn has it.
CREATE OR REPLACE FUNCTION majlis_lost_width(p_turn bigint, p_message_ids text[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE majlis_turns SET state = 'superseded', finished_at = now()
    WHERE id = p_turn AND state = 'started' AND rule = '' AND moved_to = '' AND NOT message_ids <@ p_message_ids;
    RETURN FOUND;
END $$;

-- T1, as in 050; superseded turns are none.
CREATE OR REPLACE FUNCTION majlis_begin_turn(p_partition integer, p_epoch bigint, p_batch jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_key text := p_batch ->> 'conversation_key';
    v_number bigint := (p_batch ->> 'number')::bigint;
    v_instance text := p_batch ->> 'instance';
    v_contact text := p_batch ->> 'contact';
    v_lid text := p_batch ->> 'lid';
    v_messages jsonb := p_batch -> 'messages';
    v_message_ids text[] := ARRAY(SELECT jsonb_array_elements_text(p_batch -> 'message_ids'));
    v_text text := p_batch ->> 'text';
    v_text_hash text := p_batch ->> 'text_hash';
    v_is_lid boolean := v_contact LIKE '%@lid';
    v_rule text;
    v_instance_id text;
    v_conversation_id text;
    v_phone text := '';
    v_moved_to text;
    v_repeated text[] := '{}';
    v_resume bigint;
    v_turn bigint;
BEGIN
    PERFORM majlis_fence(p_partition, p_epoch);
    PERFORM majlis_lock_contact(v_instance, v_contact);
    -- The very batch comes before one of the same number that holds more.
    SELECT id INTO v_turn FROM majlis_turns
    WHERE conversation_key = v_key AND batch_number = v_number AND state <> 'superseded'
      AND message_ids || repeated_ids @> v_message_ids
    ORDER BY message_ids <@ v_message_ids AND message_ids @> v_message_ids DESC, revision DESC LIMIT 1;
    IF FOUND AND majlis_lost_width(v_turn, v_message_ids) THEN
        v_turn := NULL;
    ELSIF FOUND THEN
        UPDATE majlis_turns SET tries = (p_batch ->> 'tries')::integer
        WHERE id = v_turn AND state IN ('started', 'answered') AND tries <> (p_batch ->> 'tries')::integer;
        RETURN majlis_turn_view(v_turn)
            || (SELECT jsonb_build_object('repeated', repeated_ids) FROM majlis_turns WHERE id = v_turn);
    END IF;

    SELECT r.rule, r.instance_id INTO v_rule, v_instance_id FROM majlis_instance_rule(v_instance) r;
    IF v_rule = '' AND v_is_lid THEN
        SELECT phone INTO v_phone FROM majlis_identities WHERE instance = v_instance AND lid = v_contact;
        v_phone := coalesce(v_phone, '');
    END IF;
    v_moved_to := v_phone;
    IF v_rule = '' THEN
        -- A turn that only moves its messages to the phone number's conversation answers none of them.
        SELECT coalesce(array_agg(DISTINCT h.message_id), '{}'),
               min(t.id) FILTER (WHERE t.state IN ('started', 'answered')
                                   AND NOT (t.conversation_key = v_key AND t.batch_number = v_number))
        INTO v_repeated, v_resume
        FROM unnest(v_message_ids) AS own (id)
        -- OFFSET 0: one look into the index for each id, also by a plan that was made when the tables were empty.
        CROSS JOIN LATERAL (SELECT message_id, turn_id FROM majlis_heard WHERE message_id = own.id OFFSET 0) h
        CROSS JOIN LATERAL (SELECT * FROM majlis_turns WHERE id = h.turn_id OFFSET 0) t
        WHERE t.instance = v_instance
          AND t.contact = ANY (majlis_names(v_instance, coalesce(nullif(v_phone, ''), v_contact))
                               || ARRAY[v_contact, v_lid])
          AND NOT (t.moved_to <> '' AND t.state IN ('started', 'moved')) AND t.state <> 'superseded';
        IF v_resume IS NOT NULL THEN
            RAISE EXCEPTION 'resume %', v_resume USING ERRCODE = 'MJ005';
        ELSIF v_repeated @> v_message_ids THEN
            -- These messages have their end, under this name or another, or from before the mirror lost its state.
            v_rule := 'duplicate';
            v_moved_to := '';
            v_repeated := '{}';
        ELSIF v_repeated <> '{}' THEN
            SELECT jsonb_agg(m.value ORDER BY m.ordinality), array_agg(m.value ->> 'id' ORDER BY m.ordinality),
                   string_agg(m.value ->> 'text', E'\n' ORDER BY m.ordinality)
            INTO v_messages, v_message_ids, v_text
            FROM jsonb_array_elements(v_messages) WITH ORDINALITY AS m (value, ordinality)
            WHERE m.value ->> 'id' <> ALL (v_repeated);
            v_text_hash := encode(sha256(convert_to(regexp_replace(v_text, '^\s+|\s+$', '', 'g'), 'UTF8')), 'hex');
        END IF;
    END IF;
    IF v_rule IN ('', 'duplicate') AND v_phone = '' THEN
        IF v_lid <> '' AND NOT v_is_lid THEN
            PERFORM majlis_link(v_instance, v_lid, v_contact);
        END IF;
        v_conversation_id := majlis_find_conversation(v_instance_id, v_contact);
        IF v_rule = '' THEN
            PERFORM majlis_store_messages(v_conversation_id, v_messages);
        END IF;
    END IF;

    INSERT INTO majlis_turns (
        conversation_key, partition, batch_number, revision, lo, hi, why, tries, rule, moved_to, instance, contact,
        messages, message_ids, repeated_ids, text, text_hash, conversation_id, epoch, opened_at)
    VALUES (
        v_key, p_partition, v_number,
        (SELECT count(*) FROM majlis_turns WHERE conversation_key = v_key AND batch_number = v_number),
        (p_batch ->> 'lo')::bigint, (p_batch ->> 'hi')::bigint, p_batch ->> 'why', (p_batch ->> 'tries')::integer,
        v_rule, v_moved_to, v_instance, v_contact, v_messages, v_message_ids, v_repeated, v_text, v_text_hash,
        v_conversation_id, p_epoch, to_timestamp((p_batch ->> 'opened_at_ms')::numeric / 1000))
    RETURNING id INTO v_turn;
    IF v_rule <> 'duplicate' THEN
        -- The contact is locked: nobody else inserts these. To be ready for a conflict costs a record more for each.
        UPDATE majlis_heard SET turn_id = v_turn
        WHERE message_id = ANY (v_message_ids) AND conversation_key = v_key;
        INSERT INTO majlis_heard (message_id, conversation_key, turn_id)
        SELECT DISTINCT own.id, v_key, v_turn FROM unnest(v_message_ids) AS own (id)
        WHERE (SELECT true FROM majlis_heard h WHERE h.message_id = own.id AND h.conversation_key = v_key) IS NULL;
    END IF;
    RETURN majlis_turn_view(v_turn) || jsonb_build_object('repeated', v_repeated);
END $$;

-- As in 019. What a superseded turn has left comes last: another one may have some of its messages, and must end first.
CREATE OR REPLACE FUNCTION majlis_unfinished_turns(p_conversation_key text, p_limit integer)
RETURNS TABLE (number bigint, lo bigint, hi bigint, why text, tries integer, opened_at_ms bigint, age_ms bigint,
               messages jsonb) LANGUAGE sql STABLE AS $$
    SELECT t.batch_number, t.lo, t.hi, t.why, t.tries, (extract(epoch FROM t.opened_at) * 1000)::bigint,
           greatest(0, extract(epoch FROM now() - t.created_at) * 1000)::bigint, t.messages
    FROM majlis_open_turns o CROSS JOIN LATERAL (SELECT * FROM majlis_turns WHERE id = o.turn_id OFFSET 0) t
    WHERE o.conversation_key = p_conversation_key
    ORDER BY t.state = 'superseded', o.turn_id LIMIT p_limit
$$;

-- (pace and lately: with the newest texts)
