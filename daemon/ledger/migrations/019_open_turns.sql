-- The ledger's own list of unfinished turns, and of which turn heard which message.
--
-- A mirror may lose its tail: a power cut with `everysec`, a promoted replica, an older copy. The turns that it forgot are
-- found here and taken up again, and messages that wait in it once more are recognized.

-- Ids of the frozen batch that an earlier turn had heard: the turn is about the others alone.
ALTER TABLE majlis_turns ADD COLUMN IF NOT EXISTS repeated_ids text[] NOT NULL DEFAULT '{}';

-- Exactly the turns that are `started` or `answered`.
CREATE TABLE IF NOT EXISTS majlis_open_turns (
    turn_id          bigint PRIMARY KEY,
    partition        integer NOT NULL,
    conversation_key text NOT NULL
);
CREATE INDEX IF NOT EXISTS majlis_open_turns_conversation_idx ON majlis_open_turns (conversation_key, turn_id);

-- The turn that each message belongs to. One that moved with its LID has a row for each of the two conversations.
CREATE TABLE IF NOT EXISTS majlis_heard (
    message_id       text NOT NULL,
    conversation_key text NOT NULL,
    turn_id          bigint NOT NULL,
    PRIMARY KEY (message_id, conversation_key)
);

-- Triggers, so that no way to begin or to end a turn can forget it: steps of any version, an adoption, a hand with psql.
CREATE OR REPLACE FUNCTION majlis_turn_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_open_turns (turn_id, partition, conversation_key)
    VALUES (NEW.id, NEW.partition, NEW.conversation_key) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION majlis_turn_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM majlis_open_turns WHERE turn_id = OLD.id;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS majlis_turn_opened ON majlis_turns;
CREATE TRIGGER majlis_turn_opened AFTER INSERT ON majlis_turns
    FOR EACH ROW WHEN (NEW.state IN ('started', 'answered')) EXECUTE FUNCTION majlis_turn_opened();
DROP TRIGGER IF EXISTS majlis_turn_closed ON majlis_turns;
CREATE TRIGGER majlis_turn_closed AFTER UPDATE OF state ON majlis_turns
    FOR EACH ROW WHEN (OLD.state IN ('started', 'answered') AND NEW.state NOT IN ('started', 'answered'))
    EXECUTE FUNCTION majlis_turn_closed();

-- Making the triggers has locked out every writer until this commits: no turn begins or ends in between.
INSERT INTO majlis_open_turns (turn_id, partition, conversation_key)
SELECT id, partition, conversation_key FROM majlis_turns WHERE state IN ('started', 'answered')
ON CONFLICT DO NOTHING;

-- T1: begin the turn of a frozen batch, or return the existing one. `repeated` are ids of the batch that an earlier turn of
-- this contact had heard, under the phone number or a LID: they are left out. Errors, in addition to those of 005 and 009:
--   MJ005  resume: an earlier turn of these messages is unfinished, and must end first
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
        INSERT INTO majlis_heard (message_id, conversation_key, turn_id)
        SELECT DISTINCT id, v_key, v_turn FROM unnest(v_message_ids) AS own (id)
        ON CONFLICT (message_id, conversation_key) DO UPDATE SET turn_id = excluded.turn_id;
    END IF;
    RETURN majlis_turn_view(v_turn) || jsonb_build_object('repeated', v_repeated);
END $$;

-- The unfinished turns of one conversation as batches, oldest first.
CREATE OR REPLACE FUNCTION majlis_unfinished_turns(p_conversation_key text, p_limit integer)
RETURNS TABLE (number bigint, lo bigint, hi bigint, why text, tries integer, opened_at_ms bigint, age_ms bigint,
               messages jsonb) LANGUAGE sql STABLE AS $$
    SELECT t.batch_number, t.lo, t.hi, t.why, t.tries, (extract(epoch FROM t.opened_at) * 1000)::bigint,
           greatest(0, extract(epoch FROM now() - t.created_at) * 1000)::bigint, t.messages
    FROM majlis_open_turns o CROSS JOIN LATERAL (SELECT * FROM majlis_turns WHERE id = o.turn_id OFFSET 0) t
    WHERE o.conversation_key = p_conversation_key
    ORDER BY o.turn_id LIMIT p_limit
$$;

-- Unfinished turns of some partitions after turn `p_after`, in order.
CREATE OR REPLACE FUNCTION majlis_open_turns_of(p_partitions integer[], p_after bigint, p_limit integer)
RETURNS TABLE (turn_id bigint, conversation_key text, number bigint, age_seconds double precision)
LANGUAGE sql STABLE AS $$
    SELECT o.turn_id, o.conversation_key, t.batch_number,
           greatest(0, extract(epoch FROM now() - t.created_at))::double precision
    FROM majlis_open_turns o CROSS JOIN LATERAL (SELECT * FROM majlis_turns WHERE id = o.turn_id OFFSET 0) t
    WHERE o.partition = ANY (p_partitions) AND o.turn_id > p_after
    ORDER BY o.turn_id LIMIT p_limit
$$;
