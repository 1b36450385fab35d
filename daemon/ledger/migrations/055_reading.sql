-- What a turn reads: by statements that have one good plan, whatever the tables held when it was made, so that all plans are
-- kept. Where two indexes would do, the order that is asked for leaves one of them: nobody sorts a whole conversation for its
-- newest turns, because it might have few.

-- As in 054. Each address is looked up by itself.
CREATE OR REPLACE FUNCTION majlis_find_conversation(p_instance_id text, p_contact text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_conversations.instance_id%TYPE := p_instance_id;
    v_id whatsapp_conversations.id%TYPE;
    v_is_inactive boolean;
    v_spellings text[] := majlis_spellings_of(p_instance_id, p_contact);
BEGIN
    SELECT c.id, c.status = 'inactive' INTO v_id, v_is_inactive
    FROM unnest(v_spellings) AS spelling (word)
    CROSS JOIN LATERAL (SELECT * FROM whatsapp_conversations
                        WHERE instance_id = v_instance AND user_phone = spelling.word OFFSET 0) c
    ORDER BY c.last_activity DESC NULLS LAST, c.id DESC LIMIT 1;
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

-- As in 050. A range of one id, in its order: the index of the conversation and its times would read the whole conversation.
CREATE OR REPLACE FUNCTION majlis_store_messages(p_conversation_id text, p_messages jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    IF majlis_withholds() THEN
        RETURN;
    END IF;
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'user', coalesce(old.note, m.value ->> 'text'), own.id,
           least(now(), to_timestamp(s.sent_at)) + (m.ordinality - 1) * interval '1 microsecond'
    FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS m (value, ordinality)
    CROSS JOIN LATERAL (SELECT majlis_original_id(m.value ->> 'id') AS id OFFSET 0) own
    -- NULL: it was delivered as it was sent, or nobody knows when that was. A second later than now is as good as any.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN (coalesce(m.value ->> 'swept', '') <> '' OR m.value ->> 'aside' = 'backlog')
                         AND (m.value ->> 'sent_at')::numeric > 0
               THEN least((m.value ->> 'sent_at')::numeric, extract(epoch FROM now())::numeric + 1)::double precision
               END AS sent_at) s
    LEFT JOIN LATERAL (
        SELECT rtrim(m.value ->> 'text', ']') || ': ' || left(k.content::text, 300) || ']' AS note
        FROM (SELECT majlis_original_id(m.value ->> 'amends') AS id OFFSET 0) amended
        CROSS JOIN LATERAL (SELECT * FROM whatsapp_messages k
                            WHERE k.conversation_id = v_conversation
                              AND k.message_id >= amended.id AND k.message_id <= amended.id
                            ORDER BY k.message_id) k
        WHERE m.value ->> 'aside' = 'deletion' AND k.content <> ''
        LIMIT 1) old ON true
    WHERE NOT (majlis_history_only(m.value) AND coalesce(m.value ->> 'text', '') = '')
      AND NOT coalesce((m.value ->> 'shadow')::boolean, false)
      AND (SELECT true FROM whatsapp_messages k
           WHERE k.conversation_id = v_conversation AND k.message_id >= own.id AND k.message_id <= own.id
           ORDER BY k.message_id LIMIT 1) IS NULL
    ORDER BY m.ordinality
    ON CONFLICT DO NOTHING;
END $$;

-- T1, as in 050. Most messages were never heard before: one look at each id says so. Then nothing is asked about their turns,
-- and nothing has to be found again to be written.
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
    FROM (SELECT id, message_ids, repeated_ids, revision FROM majlis_turns
          WHERE conversation_key = v_key AND batch_number >= v_number AND batch_number <= v_number
          ORDER BY batch_number, revision OFFSET 0) t
    WHERE t.message_ids || t.repeated_ids @> v_message_ids
    ORDER BY t.message_ids <@ v_message_ids AND t.message_ids @> v_message_ids DESC, t.revision DESC LIMIT 1;
    IF FOUND THEN
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

-- As in 032. `said_before`: whether an earlier turn of the conversation had the same words, as far as the hash tells; if
-- none had, nothing is left to ask about repetitions.
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
                        AND t.batch_number > v_number - 86400000
                      ORDER BY t.batch_number DESC LIMIT 100) latest);
        END IF;
        v_said_before := v_turn -> 'repeated' <> '[]' OR (
            SELECT true FROM majlis_turns t
            WHERE t.conversation_key = v_key AND t.text_hash = p_batch ->> 'text_hash' AND t.id < v_id
            ORDER BY t.created_at DESC LIMIT 1) IS NOT NULL;
    END IF;
    RETURN v_turn || jsonb_build_object('lately', v_lately, 'said_before', v_said_before);
END $$;

-- As in 054. Of texts that refer to nothing no more are read than fit `p_max_chars`: the caller counts bytes of what its two
-- sides said, which are no fewer than letters.
CREATE OR REPLACE FUNCTION majlis_told_history(
    p_turn bigint, p_max_messages integer, p_max_chars integer, p_context_chars integer)
RETURNS TABLE (sender_type text, content text, kind text, contexts jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_conversation_id text;
    v_own text[];
    v_shadow boolean;
    v_before timestamptz;
    v_chars integer := 0;
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
        FOR sender_type, content IN
            SELECT m.sender_type::text, left(m.content::text, p_max_chars)
            FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation
              AND m.content <> ''
              AND (v_before IS NULL OR m.created_at < v_before)
              AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
            ORDER BY m.created_at DESC, m.id DESC
            LIMIT p_max_messages
        LOOP
            kind := 'text';
            RETURN NEXT;
            IF lower(sender_type) IN ('user', 'customer', 'contact', 'assistant', 'ai', 'bot', 'agent', 'human') THEN
                v_chars := v_chars + length(content);
                EXIT WHEN v_chars >= p_max_chars;
            END IF;
        END LOOP;
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

-- The pace of a turn's conversation, as in 032, where `majlis_pace` says it to older daemons: as text, which costs half as much.
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

-- Who speaks in this conversation, as in 031 and 054, with what else is asked of the contact. Each table is read once.
CREATE OR REPLACE FUNCTION majlis_standing_now(
    p_instance text, p_contact text, p_conversation_key text, p_hand_back_seconds double precision,
    p_heed_takeover boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_names text[] := majlis_names(p_instance, p_contact);
    v_lifted text := '';
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_taken_over boolean;
    v_escalated boolean;
    v_escalated_at timestamptz;
    v_expired boolean;
    v_handed_back_at timestamptz;
    v_opted_out boolean;
BEGIN
    IF p_heed_takeover AND EXISTS (
        SELECT FROM majlis_own_messages o
        WHERE o.instance = p_instance AND o.contact = ANY (v_names) AND o.judged AND o.until > now()
    ) THEN
        v_lifted := majlis_judge_again(p_instance, p_contact, p_conversation_key);
    END IF;
    SELECT p_heed_takeover AND count(*) FILTER (WHERE t.ended_at IS NULL AND t.until > now()) > 0,
           max(coalesce(t.ended_at, t.until)) FILTER (WHERE coalesce(t.ended_at, t.until) <= now())
    INTO v_taken_over, v_handed_back_at
    FROM majlis_takeovers t WHERE t.instance = p_instance AND t.contact = ANY (v_names);
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    SELECT count(*) FILTER (WHERE e.resolved_at IS NULL) > 0, max(e.escalated_at) FILTER (WHERE e.resolved_at IS NULL),
           greatest(v_handed_back_at, max(e.resolved_at))
    INTO v_escalated, v_escalated_at, v_handed_back_at
    FROM whatsapp_escalated_conversations e
    WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (v_names);
    v_expired := v_escalated
        AND coalesce(extract(epoch FROM now() - v_escalated_at) >= p_hand_back_seconds, true);
    IF p_contact LIKE '%@lid' THEN
        v_opted_out := majlis_opted_out(p_instance, p_contact);
    ELSE
        v_opted_out := EXISTS (SELECT FROM majlis_opt_outs o
                               WHERE o.instance = p_instance AND o.contact = ANY (v_names) AND o.ended_at IS NULL);
    END IF;
    RETURN jsonb_build_object(
        'lifted', v_lifted, 'taken_over', v_taken_over, 'escalated', v_escalated, 'escalation_expired', v_expired,
        'handed_back', NOT v_taken_over AND (
            v_expired OR NOT v_escalated AND v_handed_back_at IS NOT NULL
                         AND NOT majlis_said_since(p_conversation_key, v_handed_back_at, NULL)),
        'opted_out', v_opted_out, 'own_instance', majlis_is_own_number(p_instance, p_contact));
END $$;

-- In these, and in what they call, plans are made once, and find rows by an index in its order: what a table held when a plan
-- was made says nothing of what it will hold. (What has no index is read whole or sorted all the same; servers before 18 take
-- that for so dear that they would compile the plan.) CREATE OR REPLACE takes it away: who writes one anew says it again.
DO $$
DECLARE
    v_function text;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'majlis_begin_measured_turn(integer, bigint, jsonb, boolean)',
        'majlis_told_history(bigint, integer, integer, integer)',
        'majlis_recent_talk(bigint, integer, integer, integer, bigint)',
        'majlis_standing_now(text, text, text, double precision, boolean)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan SET enable_seqscan = off '
                       'SET enable_bitmapscan = off SET enable_sort = off SET jit = off', v_function);
    END LOOP;
END $$;
