-- One person with several addresses, and conversations with machines.

-- Instances whose settings say that spellings of one number are not one person (`contacts.link_numbers`), as the daemons
-- found it at their latest turn with such a number.
CREATE TABLE IF NOT EXISTS majlis_unlinked (instance text PRIMARY KEY);

-- Majlis is silent to another machine until `until`. A row of its own: a person's take-over of the same conversation
-- stays what it is. `times`: how often in a row, each silence soon after the one before it.
CREATE TABLE IF NOT EXISTS majlis_machines (
    instance   text NOT NULL,
    contact    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    until      timestamptz NOT NULL,
    ended_at   timestamptz,
    ended_by   text NOT NULL DEFAULT '',
    times      integer NOT NULL DEFAULT 1,
    signs      text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (instance, contact)
);
CREATE INDEX IF NOT EXISTS majlis_machines_open_idx ON majlis_machines (until) WHERE ended_at IS NULL;

-- The addresses under which WhatsApp knows one number, the given one first: `actors/identity.py`, `number_forms`, says why.
-- It is asked for several times in every turn. Most numbers are of other countries, which their beginning shows: hence no
-- query, here and in `majlis_spellings`.
CREATE OR REPLACE FUNCTION majlis_number_forms(p_contact text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN left(p_contact, 2) NOT IN ('55', '52', '54') THEN ARRAY[p_contact]
        WHEN p_contact ~ '^55[1-9][1-9]9[6-9][0-9]{7}$'
            THEN ARRAY[p_contact, substr(p_contact, 1, 4) || substr(p_contact, 6)]
        WHEN p_contact ~ '^55[1-9][1-9][6-9][0-9]{7}$'
            THEN ARRAY[p_contact, substr(p_contact, 1, 4) || '9' || substr(p_contact, 5)]
        WHEN p_contact ~ '^521[2-9][0-9]{9}$' THEN ARRAY[p_contact, '52' || substr(p_contact, 4)]
        WHEN p_contact ~ '^52[2-9][0-9]{9}$' THEN ARRAY[p_contact, '521' || substr(p_contact, 3)]
        WHEN p_contact ~ '^549[1-3][0-9]{9}$' THEN ARRAY[p_contact, '54' || substr(p_contact, 4)]
        WHEN p_contact ~ '^54[1-3][0-9]{9}$' THEN ARRAY[p_contact, '549' || substr(p_contact, 3)]
        ELSE ARRAY[p_contact] END;
END $$;

-- As in 004, for every address of the number.
CREATE OR REPLACE FUNCTION majlis_spellings(p_contact text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_found text[] := '{}';
    v_form text;
BEGIN
    IF p_contact !~ '^[0-9]+$' THEN
        RETURN ARRAY[p_contact];
    END IF;
    FOREACH v_form IN ARRAY majlis_number_forms(p_contact) LOOP
        v_found := v_found || ARRAY[v_form, v_form || '@s.whatsapp.net', '+' || v_form];
    END LOOP;
    RETURN v_found;
END $$;

-- The same where the instance links them; else of this address alone.
CREATE OR REPLACE FUNCTION majlis_spellings(p_instance text, p_contact text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF cardinality(majlis_number_forms(p_contact)) > 1
        AND EXISTS (SELECT FROM majlis_unlinked u WHERE u.instance = p_instance) THEN
        RETURN ARRAY[p_contact, '+' || p_contact, p_contact || '@s.whatsapp.net'];
    END IF;
    RETURN majlis_spellings(p_contact);
END $$;

-- What `contacts.link_numbers` says now. Only a contact with several addresses makes a difference.
CREATE OR REPLACE FUNCTION majlis_link_numbers(p_instance text, p_contact text, p_linked boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(majlis_number_forms(p_contact)) = 1 THEN
        RETURN;
    ELSIF p_linked THEN
        DELETE FROM majlis_unlinked WHERE instance = p_instance;
    ELSE
        INSERT INTO majlis_unlinked (instance) VALUES (p_instance) ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- As in 009, for every address of the number.
CREATE OR REPLACE FUNCTION majlis_names(p_instance text, p_contact text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_spellings text[] := majlis_spellings(p_instance, p_contact);
BEGIN
    RETURN v_spellings || ARRAY(SELECT i.lid FROM majlis_identities i
                                WHERE i.instance = p_instance AND i.phone = ANY (v_spellings));
END $$;

-- Whether this is the number of an instance, under any of its addresses. One of which nothing was heard for a month may
-- belong to anybody by now.
CREATE OR REPLACE FUNCTION majlis_is_own_number(p_instance text, p_contact text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM majlis_instance_numbers n
                   WHERE n.number = ANY (majlis_spellings(p_instance, p_contact))
                     AND n.seen_at > now() - interval '30 days')
$$;

-- As in 004. One lock for all addresses of a number, whether they are linked or not: their turns begin one after another,
-- so that a message which comes again under the other address is known by then.
CREATE OR REPLACE FUNCTION majlis_lock_contact(p_instance text, p_contact text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_forms text[] := majlis_number_forms(p_contact);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(
        'majlis contact ' || p_instance || '/' || least(v_forms[1], v_forms[2]), 0));
END $$;

-- The spellings of a contact for the instance with this id.
CREATE OR REPLACE FUNCTION majlis_spellings_of(p_instance_id text, p_contact text) RETURNS text[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_instances.id%TYPE;
BEGIN
    IF cardinality(majlis_number_forms(p_contact)) = 1 THEN
        RETURN majlis_spellings(p_contact);
    END IF;
    v_instance := p_instance_id;
    RETURN majlis_spellings((SELECT i.instance_name::text FROM whatsapp_instances i WHERE i.id = v_instance), p_contact);
END $$;

-- As in 004, for every address of the number. Of several conversations the one with the latest activity is used, and thus
-- stays the one that is used; a new one is created under the address as it came.
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
    IF NOT FOUND THEN
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

-- As in 004: a LID's conversation joins that of its number, under whichever address that one is kept.
CREATE OR REPLACE FUNCTION majlis_join_conversations(p_instance_id text, p_lid text, p_phone text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_conversations.instance_id%TYPE := p_instance_id;
    v_from whatsapp_conversations.id%TYPE;
    v_to whatsapp_conversations.id%TYPE;
    v_spellings text[] := majlis_spellings_of(p_instance_id, p_phone);
BEGIN
    SELECT id INTO v_to FROM whatsapp_conversations
    WHERE instance_id = v_instance AND user_phone = ANY (v_spellings)
    ORDER BY last_activity DESC NULLS LAST, id DESC LIMIT 1;
    FOR v_from IN
        SELECT id FROM whatsapp_conversations WHERE instance_id = v_instance AND user_phone = p_lid
        ORDER BY last_activity DESC NULLS LAST, id DESC
    LOOP
        IF v_to IS NULL THEN
            UPDATE whatsapp_conversations SET user_phone = p_phone WHERE id = v_from;
            v_to := v_from;
        ELSE
            UPDATE whatsapp_messages m SET conversation_id = v_to
            WHERE m.conversation_id = v_from
              AND NOT EXISTS (SELECT FROM whatsapp_messages k
                              WHERE k.conversation_id = v_to AND k.message_id = m.message_id);
            UPDATE whatsapp_conversations SET status = 'inactive' WHERE id = v_from;
            UPDATE majlis_turns SET conversation_id = v_to::text WHERE conversation_id = v_from::text;
        END IF;
    END LOOP;
END $$;

-- T1, as in 019, by an instance that links the addresses of a number, or does not. `lately` is how many turns the
-- conversation has had within a day before this batch, with this one, counted up to 100; NULL where it has been taken for a
-- machine's. Few turns leave nothing to ask `majlis_pace` about.
CREATE OR REPLACE FUNCTION majlis_begin_turn(
    p_partition integer, p_epoch bigint, p_batch jsonb, p_link_numbers boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_instance text := p_batch ->> 'instance';
    v_contact text := p_batch ->> 'contact';
    v_number bigint := (p_batch ->> 'number')::bigint;
    v_turn jsonb;
    v_lately integer;
BEGIN
    PERFORM majlis_link_numbers(v_instance, v_contact, p_link_numbers);
    v_turn := majlis_begin_turn(p_partition, p_epoch, p_batch);
    IF v_turn ->> 'state' = 'started' AND NOT EXISTS (
        SELECT FROM majlis_machines m
        WHERE m.instance = v_instance AND m.contact = ANY (majlis_names(v_instance, v_contact)) AND m.ended_at IS NULL
    ) THEN
        v_lately := (
            SELECT count(*)
            FROM (SELECT FROM majlis_turns t
                  WHERE t.conversation_key = p_batch ->> 'conversation_key' AND t.batch_number <= v_number
                    AND t.batch_number > v_number - 86400000
                  ORDER BY t.batch_number DESC LIMIT 100) latest);
    END IF;
    RETURN v_turn || jsonb_build_object('lately', v_lately);
END $$;

-- As in 009, for every address of the number.
CREATE OR REPLACE FUNCTION majlis_is_taken_over(p_instance text, p_contact text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_names text[] := majlis_names(p_instance, p_contact);
BEGIN
    RETURN EXISTS (
        SELECT FROM majlis_takeovers t
        WHERE t.instance = p_instance AND t.contact = ANY (v_names) AND t.ended_at IS NULL AND t.until > now());
END $$;

-- As in 009, for every address of the number; a silence to a machine ends with the take-overs.
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
        WHERE t.instance = p_instance AND t.contact = ANY (v_names) AND t.ended_at IS NULL AND t.until > now();
        GET DIAGNOSTICS v_takeovers = ROW_COUNT;
    END IF;
    RETURN v_escalations + v_takeovers;
END $$;

-- As in 014, for every address of the number, with the silence to a machine.
CREATE OR REPLACE FUNCTION majlis_silence(p_instance text, p_contact text, p_hand_back_seconds double precision)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_instance, p_contact);
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN jsonb_build_object(
        'taken_over', (
            SELECT jsonb_build_object('since', t.started_at, 'until', t.until)
            FROM majlis_takeovers t
            WHERE t.instance = p_instance AND t.contact = ANY (v_names) AND t.ended_at IS NULL AND t.until > now()
            ORDER BY t.until DESC LIMIT 1),
        'machine', (
            SELECT jsonb_build_object('since', m.started_at, 'until', m.until, 'signs', to_jsonb(m.signs))
            FROM majlis_machines m
            WHERE m.instance = p_instance AND m.contact = ANY (v_names) AND m.ended_at IS NULL AND m.until > now()
            ORDER BY m.until DESC LIMIT 1),
        'escalated', (
            SELECT jsonb_build_object('since', e.escalated_at::timestamptz, 'why', coalesce(e.reason::text, ''))
            FROM whatsapp_escalated_conversations e
            WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (v_names)
              AND e.resolved_at IS NULL AND e.escalated_at > now() - p_hand_back_seconds * interval '1 second'
            ORDER BY e.escalated_at DESC LIMIT 1));
END $$;

-- Ends the silence to a machine; returns how many there were. The next one is no longer than the first.
CREATE OR REPLACE FUNCTION majlis_end_machine(p_instance text, p_contact text, p_by text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_names text[] := majlis_names(p_instance, p_contact);
    v_ended integer;
BEGIN
    UPDATE majlis_machines m SET ended_at = now(), ended_by = p_by
    WHERE m.instance = p_instance AND m.contact = ANY (v_names) AND m.ended_at IS NULL AND m.until > now();
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    RETURN v_ended;
END $$;

-- The pace of a turn's conversation, judged at the time at which the turn began, so that each attempt sees the same:
-- `silent`: a silence to a machine is in force; `times`: silences in a row, the latest of which ended by its time within
-- a day; `exchanges`: the turns since then up to this one, oldest first, within `p_span_ms`, where at least `p_least`
-- replies were sent (a quarter of them after a silence); none otherwise. Reads one index backwards, at most `p_most` turns.
CREATE OR REPLACE FUNCTION majlis_pace(p_turn bigint, p_least integer, p_again integer, p_most integer, p_span_ms bigint)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_turn record;
    v_machine majlis_machines;
    v_since timestamptz;
    v_times integer := 0;
    v_exchanges jsonb;
BEGIN
    SELECT t.instance, t.contact, t.conversation_key AS key, t.batch_number AS number, t.created_at AS at INTO v_turn
    FROM majlis_turns t WHERE t.id = p_turn;
    SELECT m.* INTO v_machine FROM majlis_machines m
    WHERE m.instance = v_turn.instance AND m.contact = ANY (majlis_names(v_turn.instance, v_turn.contact))
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
    SELECT jsonb_agg(jsonb_build_object(
               'opened_ms', (extract(epoch FROM r.opened_at) * 1000)::bigint,
               'said', coalesce((
                   SELECT jsonb_agg(jsonb_build_object('text', left(m.value ->> 'text', 600),
                                                       'kind', coalesce(m.value ->> 'kind', 'text'),
                                                       'swept', coalesce(m.value ->> 'swept', '') <> '')
                                    ORDER BY m.ordinality)
                   FROM jsonb_array_elements(r.messages) WITH ORDINALITY AS m (value, ordinality)
                   WHERE m.ordinality <= 10), '[]'),
               'answer', left(r.answer, 1000),
               'left_ms', coalesce((
                   SELECT jsonb_agg(jsonb_build_array((extract(epoch FROM o.last_claimed_at) * 1000)::bigint,
                                                      (extract(epoch FROM o.settled_at) * 1000)::bigint)
                                    ORDER BY o.part)
                   FROM majlis_outbox o
                   WHERE o.turn_id = r.id AND o.state = 'sent' AND o.last_claimed_at IS NOT NULL
                     AND o.settled_at IS NOT NULL), '[]'))
               ORDER BY r.batch_number, r.id)
    INTO v_exchanges
    FROM recent r
    WHERE (SELECT count(*) FROM recent c WHERE c.state = 'done' AND c.answered_at IS NOT NULL)
          >= CASE v_times WHEN 0 THEN p_least ELSE p_again END;
    RETURN jsonb_build_object('at_ms', (extract(epoch FROM v_turn.at) * 1000)::bigint, 'times', v_times,
                              'exchanges', coalesce(v_exchanges, '[]'));
END $$;

-- End the turn without an answer and fall silent to a machine, with the notices about it. A turn that has ended so already
-- begins no second silence.
CREATE OR REPLACE FUNCTION majlis_suppress_machine(
    p_turn bigint, p_epoch bigint, p_rule text, p_waterfall jsonb, p_seconds double precision, p_times integer,
    p_signs text[], p_notices jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state = 'started' THEN
        INSERT INTO majlis_machines AS known (instance, contact, until, times, signs)
        VALUES (v_turn.instance, v_turn.contact, now() + p_seconds * interval '1 second', p_times, p_signs)
        ON CONFLICT (instance, contact) DO UPDATE
        SET started_at = now(), until = excluded.until, ended_at = NULL, ended_by = '', times = excluded.times,
            signs = excluded.signs;
        PERFORM majlis_store_notices(p_notices);
    END IF;
    PERFORM majlis_suppress_turn(p_turn, p_epoch, p_rule, p_waterfall);
END $$;
