-- A turn in three steps that write: T1; T2 with the claim of its first part; the proof of the last part with T5.
--
-- And no step grows with the conversation, or keeps an update of a turn from staying on its page (HOT): no index of
-- majlis_turns names what its steps change. 051 drops those that did. What they found is found here by the number of the
-- batch, by majlis_open_turns, and by majlis_heard.

-- Turns that a message was part of, besides the one that majlis_heard names: repetitions, and what was heard before it was
-- heard again. Few.
CREATE TABLE IF NOT EXISTS majlis_heard_again (
    message_id text NOT NULL,
    turn_id    bigint NOT NULL,
    PRIMARY KEY (message_id, turn_id)
);

CREATE OR REPLACE FUNCTION majlis_note_repeated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_heard_again (message_id, turn_id)
    SELECT DISTINCT id, NEW.id FROM unnest(NEW.message_ids) AS own (id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_note_repeated ON majlis_turns;
CREATE TRIGGER majlis_note_repeated AFTER INSERT ON majlis_turns
    FOR EACH ROW WHEN (NEW.rule = 'duplicate') EXECUTE FUNCTION majlis_note_repeated();

CREATE OR REPLACE FUNCTION majlis_note_heard_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_heard_again (message_id, turn_id) VALUES (OLD.message_id, OLD.turn_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_note_heard_before ON majlis_heard;
CREATE TRIGGER majlis_note_heard_before AFTER UPDATE ON majlis_heard
    FOR EACH ROW WHEN (OLD.turn_id <> NEW.turn_id) EXECUTE FUNCTION majlis_note_heard_before();

-- Every turn that one of these messages was part of.
CREATE OR REPLACE FUNCTION majlis_turns_of_messages(p_ids text[]) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT h.turn_id FROM unnest(p_ids) AS own (id)
    CROSS JOIN LATERAL (SELECT turn_id FROM majlis_heard WHERE message_id = own.id OFFSET 0) h
    UNION
    SELECT h.turn_id FROM unnest(p_ids) AS own (id)
    CROSS JOIN LATERAL (SELECT turn_id FROM majlis_heard_again WHERE message_id = own.id OFFSET 0) h
$$;

-- Whether a turn of this conversation was answered since then: by this provider, and that stands; NULL: by a responder.
-- They are read from the newest back. A conversation's turns end in order, so the first that ended before then is the last
-- one that is looked at. After 1,000 turns it is taken for long ago: what ends so many without an answer may end many more.
CREATE OR REPLACE FUNCTION majlis_said_since(p_conversation_key text, p_since timestamptz, p_provider text)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_number bigint := 9223372036854775807;
    v_revision integer := 0;
    v_turn record;
    v_read integer := 0;
BEGIN
    FOR v_round IN 1..100 LOOP
        FOR v_turn IN
            SELECT t.batch_number, t.revision,
                   t.answered_at >= p_since AND CASE WHEN p_provider IS NULL THEN t.rule = ''
                       ELSE t.provider = p_provider AND t.state IN ('answered', 'done') END AS said,
                   t.state NOT IN ('started', 'answered')
                       AND coalesce(t.finished_at, t.answered_at, t.created_at) < p_since AS ended_before
            FROM majlis_turns t
            -- With a range of one the index of the conversation is the only one in this order.
            WHERE t.conversation_key >= p_conversation_key AND t.conversation_key <= p_conversation_key
              AND (t.conversation_key, t.batch_number, t.revision) < (p_conversation_key, v_number, v_revision)
            ORDER BY t.conversation_key DESC, t.batch_number DESC, t.revision DESC LIMIT 10
        LOOP
            v_read := v_read + 1;
            v_number := v_turn.batch_number;
            v_revision := v_turn.revision;
            IF v_turn.said THEN
                RETURN true;
            ELSIF v_turn.ended_before THEN
                RETURN false;
            END IF;
        END LOOP;
        EXIT WHEN v_read < 10 * v_round;
    END LOOP;
    RETURN false;
END $$;

-- As in 039. Each id is looked up by itself: as a join, the plan was to read all messages of the conversation.
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
      AND (SELECT true FROM whatsapp_messages k
           WHERE k.conversation_id = v_conversation AND k.message_id = majlis_original_id(m.value ->> 'id')
           LIMIT 1) IS NULL
    ORDER BY m.ordinality
    ON CONFLICT DO NOTHING;
END $$;

-- As in 010. Since when a person has not spoken is asked only where one did.
CREATE OR REPLACE FUNCTION majlis_standing(
    p_instance text, p_contact text, p_conversation_key text, p_hand_back_seconds double precision,
    p_heed_takeover boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_taken_over boolean := p_heed_takeover AND majlis_is_taken_over(p_instance, p_contact);
    v_escalated boolean;
    v_escalated_at timestamptz;
    v_expired boolean;
    v_handed_back_at timestamptz;
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    SELECT count(*) > 0, max(e.escalated_at) INTO v_escalated, v_escalated_at
    FROM whatsapp_escalated_conversations e
    WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (majlis_names(p_instance, p_contact))
      AND e.resolved_at IS NULL;
    v_expired := v_escalated
        AND coalesce(extract(epoch FROM now() - v_escalated_at) >= p_hand_back_seconds, true);

    IF NOT v_taken_over AND NOT v_escalated THEN
        v_handed_back_at := majlis_handed_back_at(p_instance, p_contact);
    END IF;
    RETURN jsonb_build_object(
        'taken_over', v_taken_over, 'escalated', v_escalated, 'escalation_expired', v_expired,
        'handed_back', NOT v_taken_over AND (v_expired OR v_handed_back_at IS NOT NULL
                                             AND NOT majlis_said_since(p_conversation_key, v_handed_back_at, NULL)));
END $$;

-- T2, as in 009; part 0 is stored as claimed where `claim` names the claim.
CREATE OR REPLACE FUNCTION majlis_record_answer(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_said jsonb := coalesce(p_answer -> 'answer', p_answer);
BEGIN
    IF v_turn.state <> 'started' THEN
        RETURN majlis_turn_view(p_turn);
    END IF;
    -- Before the turn is changed: its row is locked by now, and the reference to it needs no lock of its own.
    INSERT INTO majlis_outbox (
        turn_id, part, text, state, claim_token, first_token, last_token, claimed_at, last_claimed_at)
    SELECT p_turn, p.ordinality - 1, p.value, CASE WHEN claim.token <> '' THEN 'sending' ELSE 'pending' END,
           claim.token, claim.token, claim.token, claim.at, claim.at
    FROM jsonb_array_elements_text(p_parts) WITH ORDINALITY AS p (value, ordinality)
    LEFT JOIN LATERAL (SELECT p_answer ->> 'claim' AS token, now() AS at) claim
        ON p.ordinality = 1 AND claim.token <> '' AND NOT v_turn.shadow;
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

-- T2 with T3 of part 0, for a reply that leaves at once: `p_token` names the claim, '' claims nothing. A repetition with the
-- same token finds what the first call stored; the claim is the caller's if it has this token. While a person of the
-- business writes, nothing is claimed: the answer and what it cost are kept, nobody is told, and the turn ends there. The
-- contact is locked first, as by T1 and by whoever hears that person: either we see him, or he comes after the claim.
CREATE OR REPLACE FUNCTION majlis_answer(
    p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb, p_token text, p_heed_takeover boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
BEGIN
    IF p_token = '' THEN
        RETURN majlis_keep_reply(p_turn, p_epoch, p_answer, p_parts);
    END IF;
    SELECT * INTO v_turn FROM majlis_turns WHERE id = p_turn;
    PERFORM majlis_lock_contact(v_turn.instance, v_turn.contact);
    v_turn := majlis_hold_turn(p_turn, p_epoch);
    IF v_turn.state = 'started' AND p_heed_takeover AND majlis_is_taken_over(v_turn.instance, v_turn.contact) THEN
        PERFORM majlis_keep_reply(p_turn, p_epoch, p_answer || '{"notices": [], "escalation": ""}', p_parts);
        RETURN majlis_drop_rest(p_turn, p_epoch, 'taken_over');
    END IF;
    RETURN majlis_keep_reply(p_turn, p_epoch, p_answer || jsonb_build_object('claim', p_token), p_parts);
END $$;

-- T4 of the last part, as a fact under its claim, with T5: `finished`; or `settled`, then T5 is to be tried by itself; or
-- `stale`, then the turn is another daemon's. That the message left is stored whatever the tables of the business say to T5, and whatever the epoch is: it is tried whole,
-- and if it fails the fact alone. (Not the other way round: a row that is locked outside of the inner transaction and
-- changed in it costs a multixact.)
CREATE OR REPLACE FUNCTION majlis_settle_last(
    p_turn bigint, p_epoch bigint, p_part integer, p_token text, p_message_id text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_proven boolean;
BEGIN
    BEGIN
        v_proven := majlis_prove(p_turn, p_part, p_token, 'sent', p_message_id, '');
        IF v_proven AND EXISTS (
            SELECT FROM majlis_turns t JOIN majlis_partitions p ON p.partition = t.partition AND p.epoch = p_epoch
            WHERE t.id = p_turn AND t.state IN ('answered', 'done') AND t.dead_reason = ''
        ) AND NOT EXISTS (
            SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state NOT IN ('sent', 'failed_later')
        ) THEN
            PERFORM majlis_finish_turn(p_turn, p_epoch);
            RETURN 'finished';
        END IF;
    EXCEPTION WHEN OTHERS THEN
        v_proven := majlis_prove(p_turn, p_part, p_token, 'sent', p_message_id, '');
    END;
    IF v_proven AND NOT EXISTS (
        SELECT FROM majlis_turns t JOIN majlis_partitions p ON p.partition = t.partition AND p.epoch = p_epoch
        WHERE t.id = p_turn
    ) THEN
        RETURN 'stale';
    ELSIF NOT v_proven THEN  -- of a claim that has no name, or another one by now: as an act
        PERFORM majlis_settle_part(p_turn, p_epoch, p_part, 'sent', p_message_id, '', true);
    END IF;
    RETURN 'settled';
END $$;

-- As in 009. The row of the day is there but for once a day; to insert it first costs a lock more.
CREATE OR REPLACE FUNCTION majlis_count_use(p_instance text, p_answer jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_cached integer := (p_answer ->> 'provider' = 'cache')::integer;
    v_input bigint := (p_answer ->> 'input_tokens')::bigint;
    v_output bigint := (p_answer ->> 'output_tokens')::bigint;
    v_cost bigint := coalesce((p_answer ->> 'cost_micros')::bigint, 0);
    v_day date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    UPDATE majlis_usage
    SET answers = answers + 1, cached = cached + v_cached, input_tokens = input_tokens + v_input,
        output_tokens = output_tokens + v_output, cost_micros = cost_micros + v_cost
    WHERE instance = p_instance AND day = v_day;
    IF NOT FOUND THEN
        INSERT INTO majlis_usage AS used (instance, day, answers, cached, input_tokens, output_tokens, cost_micros)
        VALUES (p_instance, v_day, 1, v_cached, v_input, v_output, v_cost)
        ON CONFLICT (instance, day) DO UPDATE
        SET answers = used.answers + 1, cached = used.cached + excluded.cached,
            input_tokens = used.input_tokens + excluded.input_tokens,
            output_tokens = used.output_tokens + excluded.output_tokens,
            cost_micros = used.cost_micros + excluded.cost_micros;
    END IF;
END $$;

-- As in 019. The number of a turn that is inserted is new: there is nothing to conflict with.
CREATE OR REPLACE FUNCTION majlis_turn_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_open_turns (turn_id, partition, conversation_key) VALUES (NEW.id, NEW.partition, NEW.conversation_key);
    RETURN NULL;
END $$;

-- As in 034, and as above.
CREATE OR REPLACE FUNCTION majlis_cache_count(p_instance text, p_cache jsonb, p_saved jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_hour timestamptz := date_trunc('hour', now(), 'UTC');
    v_outcome record;
BEGIN
    FOR v_outcome IN
        SELECT o.outcome, coalesce((o.saved ->> 'input_tokens')::bigint, 0) AS input,
               coalesce((o.saved ->> 'output_tokens')::bigint, 0) AS output,
               coalesce((o.saved ->> 'cost_micros')::bigint, 0) AS cost
        FROM (VALUES (p_cache ->> 'looked', p_saved), ('not kept: ' || nullif(p_cache ->> 'not_kept', ''), NULL))
             AS o (outcome, saved)
        WHERE o.outcome IS NOT NULL
        ORDER BY o.outcome
    LOOP
        UPDATE majlis_cache_hours c
        SET questions = c.questions + 1, input_tokens = c.input_tokens + v_outcome.input,
            output_tokens = c.output_tokens + v_outcome.output, cost_micros = c.cost_micros + v_outcome.cost
        WHERE c.instance = p_instance AND c.hour = v_hour AND c.outcome = v_outcome.outcome;
        IF NOT FOUND THEN
            INSERT INTO majlis_cache_hours AS c (
                instance, hour, outcome, questions, input_tokens, output_tokens, cost_micros)
            VALUES (p_instance, v_hour, v_outcome.outcome, 1, v_outcome.input, v_outcome.output, v_outcome.cost)
            ON CONFLICT (instance, hour, outcome) DO UPDATE
            SET questions = c.questions + 1, input_tokens = c.input_tokens + excluded.input_tokens,
                output_tokens = c.output_tokens + excluded.output_tokens,
                cost_micros = c.cost_micros + excluded.cost_micros;
        END IF;
    END LOOP;
END $$;

-- T1, as in 019.
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
    WHERE conversation_key = v_key AND batch_number = v_number AND message_ids || repeated_ids @> v_message_ids
    ORDER BY message_ids <@ v_message_ids AND message_ids @> v_message_ids DESC, revision DESC LIMIT 1;
    IF FOUND THEN
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
          AND NOT (t.moved_to <> '' AND t.state IN ('started', 'moved'));
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
