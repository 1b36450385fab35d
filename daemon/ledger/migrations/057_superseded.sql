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

-- T1, as in 055; superseded turns are none.
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
    v_heard bigint[];
    v_heard_here text[];
    v_repeated text[] := '{}';
    v_resume bigint;
    v_revision integer;
    v_turn record;
BEGIN
    PERFORM majlis_fence(p_partition, p_epoch);
    PERFORM majlis_lock_contact(v_instance, v_contact);
    -- The very batch comes before one of the same number that holds more. The index of conversation and number is the only
    -- one in this order.
    SELECT t.id INTO v_turn
    FROM (SELECT id, state, message_ids, repeated_ids, revision FROM majlis_turns
          WHERE conversation_key = v_key AND batch_number >= v_number AND batch_number <= v_number
          ORDER BY batch_number, revision OFFSET 0) t
    WHERE t.state <> 'superseded' AND t.message_ids || t.repeated_ids @> v_message_ids
    ORDER BY t.message_ids <@ v_message_ids AND t.message_ids @> v_message_ids DESC, t.revision DESC LIMIT 1;
    IF FOUND AND majlis_lost_width(v_turn.id, v_message_ids) THEN
        v_turn := NULL;
    ELSIF FOUND THEN
        UPDATE majlis_turns SET tries = (p_batch ->> 'tries')::integer
        WHERE id = v_turn.id AND state IN ('started', 'answered') AND tries <> (p_batch ->> 'tries')::integer;
        RETURN majlis_turn_view(v_turn.id)
            || (SELECT jsonb_build_object('repeated', repeated_ids) FROM majlis_turns WHERE id = v_turn.id);
    END IF;

    SELECT r.rule, r.instance_id INTO v_rule, v_instance_id FROM majlis_instance_rule(v_instance) r;
    IF v_rule = '' AND v_is_lid THEN
        SELECT phone INTO v_phone FROM majlis_identities WHERE instance = v_instance AND lid = v_contact;
        v_phone := coalesce(v_phone, '');
    END IF;
    v_moved_to := v_phone;
    -- OFFSET 0: one look into the index for each id, also by a plan that was made when the tables were empty.
    SELECT array_agg(h.turn_id), array_agg(h.message_id) FILTER (WHERE h.conversation_key = v_key)
    INTO v_heard, v_heard_here
    FROM unnest(v_message_ids) AS own (id)
    CROSS JOIN LATERAL (SELECT * FROM majlis_heard WHERE message_id = own.id OFFSET 0) h;
    IF v_rule = '' AND v_heard IS NOT NULL THEN
        -- A turn that only moves its messages to the phone number's conversation answers none of them.
        SELECT coalesce(array_agg(DISTINCT h.message_id), '{}'),
               min(t.id) FILTER (WHERE t.state IN ('started', 'answered')
                                   AND NOT (t.conversation_key = v_key AND t.batch_number = v_number))
        INTO v_repeated, v_resume
        FROM unnest(v_message_ids) AS own (id)
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

    INSERT INTO majlis_turns AS t (
        conversation_key, partition, batch_number, revision, lo, hi, why, tries, rule, moved_to, instance, contact,
        messages, message_ids, repeated_ids, text, text_hash, conversation_id, epoch, opened_at)
    VALUES (
        v_key, p_partition, v_number,
        (SELECT count(*) FROM (SELECT FROM majlis_turns
                               WHERE conversation_key = v_key AND batch_number >= v_number AND batch_number <= v_number
                               ORDER BY batch_number, revision OFFSET 0) earlier),
        (p_batch ->> 'lo')::bigint, (p_batch ->> 'hi')::bigint, p_batch ->> 'why', (p_batch ->> 'tries')::integer,
        v_rule, v_moved_to, v_instance, v_contact, v_messages, v_message_ids, v_repeated, v_text, v_text_hash,
        v_conversation_id, p_epoch, to_timestamp((p_batch ->> 'opened_at_ms')::numeric / 1000))
    RETURNING t.id, t.state, t.conversation_id, t.moved_to, t.rule, t.origin, t.dead_reason, t.dead_detail, t.shadow
    INTO v_turn;
    IF v_rule <> 'duplicate' THEN
        -- The contact is locked: nobody else inserts these. To be ready for a conflict costs a record more for each.
        IF v_heard_here IS NOT NULL THEN
            UPDATE majlis_heard SET turn_id = v_turn.id
            WHERE message_id = ANY (v_message_ids) AND conversation_key = v_key;
        END IF;
        INSERT INTO majlis_heard (message_id, conversation_key, turn_id)
        SELECT DISTINCT own.id, v_key, v_turn.id FROM unnest(v_message_ids) AS own (id)
        WHERE own.id <> ALL (coalesce(v_heard_here, '{}'));
    END IF;
    -- As majlis_turn_view says it, of a turn that has no parts yet.
    RETURN to_jsonb(v_turn) || jsonb_build_object('parts', '[]'::jsonb, 'repeated', v_repeated);
END $$;

-- As in 055. Superseded turns are no turns of their own.
CREATE OR REPLACE FUNCTION majlis_begin_turn(
    p_partition integer, p_epoch bigint, p_batch jsonb, p_link_numbers boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_key text := p_batch ->> 'conversation_key';
    v_instance text := p_batch ->> 'instance';
    v_contact text := p_batch ->> 'contact';
    v_number bigint := (p_batch ->> 'number')::bigint;
    v_turn jsonb;
    v_id bigint;
    v_names text[];
    v_lately integer;
    v_said_before boolean;
BEGIN
    IF NOT majlis_has_one_form(v_contact) THEN
        PERFORM majlis_link_numbers(v_instance, v_contact, p_link_numbers);
    END IF;
    v_turn := majlis_begin_turn(p_partition, p_epoch, p_batch);
    IF v_turn ->> 'state' = 'started' THEN
        v_id := v_turn ->> 'id';
        v_names := majlis_names(v_instance, v_contact);
        IF NOT EXISTS (SELECT FROM majlis_machines m
                       WHERE m.instance = v_instance AND m.contact = ANY (v_names) AND m.ended_at IS NULL) THEN
            v_lately := (
                SELECT count(*)
                FROM (SELECT FROM majlis_turns t
                      WHERE t.conversation_key = v_key AND t.batch_number <= v_number
                        AND t.batch_number > v_number - 86400000 AND t.state <> 'superseded'
                      ORDER BY t.batch_number DESC LIMIT 100) latest);
        END IF;
        v_said_before := v_turn -> 'repeated' <> '[]' OR (
            SELECT true FROM majlis_turns t
            WHERE t.conversation_key = v_key AND t.text_hash = p_batch ->> 'text_hash' AND t.id < v_id
            ORDER BY t.created_at DESC LIMIT 1) IS NOT NULL;
    END IF;
    RETURN v_turn || jsonb_build_object('lately', v_lately, 'said_before', v_said_before);
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

-- The pace, as in 055, without superseded turns.
CREATE OR REPLACE FUNCTION majlis_recent_talk(
    p_turn bigint, p_least integer, p_again integer, p_most integer, p_span_ms bigint) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_turn record;
    v_names text[];
    v_machine majlis_machines;
    v_since timestamptz;
    v_times integer := 0;
    v_exchanges json;
BEGIN
    SELECT t.instance, t.contact, t.conversation_key AS key, t.batch_number AS number, t.created_at AS at INTO v_turn
    FROM majlis_turns t WHERE t.id = p_turn;
    v_names := majlis_names(v_turn.instance, v_turn.contact);
    SELECT m.* INTO v_machine FROM majlis_machines m
    WHERE m.instance = v_turn.instance AND m.contact = ANY (v_names)
    ORDER BY coalesce(m.ended_at, m.until) DESC LIMIT 1;
    IF v_machine.ended_at IS NULL AND v_machine.until > v_turn.at THEN
        RETURN '{"silent": true}';
    END IF;
    v_since := coalesce(v_machine.ended_at, v_machine.until, '-infinity');
    IF v_machine.ended_at IS NULL AND v_machine.until > v_turn.at - interval '1 day' THEN
        v_times := v_machine.times;
    END IF;
    WITH recent AS MATERIALIZED (
        SELECT t.id, t.batch_number, t.state, t.opened_at, t.answered_at, t.answer, t.messages
        FROM majlis_turns t
        WHERE t.conversation_key = v_turn.key AND t.batch_number <= v_turn.number
          AND t.batch_number > v_turn.number - p_span_ms AND t.created_at > v_since
          AND t.state <> 'superseded'
        ORDER BY t.batch_number DESC, t.revision DESC LIMIT p_most
    )
    SELECT json_agg(json_build_object(
        'opened_ms', (date_part('epoch', r.opened_at) * 1000)::bigint,
        'said', coalesce((
            SELECT json_agg(json_build_object('text', left(m.value ->> 'text', 600),
                                              'kind', coalesce(m.value ->> 'kind', 'text'),
                                              'swept', coalesce(m.value ->> 'swept', '') <> ''))
            FROM (SELECT * FROM jsonb_array_elements(r.messages) LIMIT 10) AS m (value)), '[]'),
        'answer', left(r.answer, 1000),
        'left_ms', coalesce((
            SELECT json_agg(json_build_array((date_part('epoch', o.last_claimed_at) * 1000)::bigint,
                                             (date_part('epoch', o.settled_at) * 1000)::bigint))
            FROM (SELECT * FROM majlis_outbox o
                  WHERE o.turn_id = r.id AND o.state = 'sent' AND o.last_claimed_at IS NOT NULL
                    AND o.settled_at IS NOT NULL
                  ORDER BY o.turn_id, o.part) o), '[]')))
    INTO v_exchanges
    FROM (SELECT * FROM recent ORDER BY batch_number, id) r
    WHERE (SELECT count(*) FROM recent c WHERE c.state = 'done' AND c.answered_at IS NOT NULL)
          >= CASE v_times WHEN 0 THEN p_least ELSE p_again END;
    RETURN json_build_object('at_ms', (date_part('epoch', v_turn.at) * 1000)::bigint, 'times', v_times,
                             'exchanges', coalesce(v_exchanges, '[]'));
END $$;
ALTER FUNCTION majlis_recent_talk(bigint, integer, integer, integer, bigint) SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off;

-- For daemons before 055, as in 032.
CREATE OR REPLACE FUNCTION majlis_pace(p_turn bigint, p_least integer, p_again integer, p_most integer, p_span_ms bigint)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN majlis_recent_talk(p_turn, p_least, p_again, p_most, p_span_ms)::jsonb;
END $$;
