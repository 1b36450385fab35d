-- Customers who want no messages, numbers that are no customers', and turns in which the model chose to say nothing.

-- A customer who wrote a stop word. It ends by a start word, or by an operator who says so in so many words.
CREATE TABLE IF NOT EXISTS majlis_opt_outs (
    instance   text NOT NULL,
    contact    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    ended_by   text NOT NULL DEFAULT '',
    PRIMARY KEY (instance, contact)
);
CREATE INDEX IF NOT EXISTS majlis_opt_outs_open_idx ON majlis_opt_outs (started_at) WHERE ended_at IS NULL;

-- The number of each instance, as the gateway named it last.
CREATE TABLE IF NOT EXISTS majlis_instance_numbers (
    instance text PRIMARY KEY,
    number   text NOT NULL,
    seen_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS majlis_instance_numbers_number_idx ON majlis_instance_numbers (number);

-- Since when the customer wants no messages, under any of his names; NULL: he has not said so, or took it back.
CREATE OR REPLACE FUNCTION majlis_opted_out_since(p_instance text, p_contact text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT min(o.started_at) FROM majlis_opt_outs o
    WHERE o.instance = p_instance AND o.ended_at IS NULL
      AND o.contact = ANY (majlis_names(p_instance, majlis_contact_of(p_instance, p_contact, '')) || p_contact)
$$;

CREATE OR REPLACE FUNCTION majlis_opted_out(p_instance text, p_contact text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT majlis_opted_out_since(p_instance, p_contact) IS NOT NULL
$$;

-- Whether Majlis may write to this contact by itself, with no message of his that asks for it. Everything that does so asks.
CREATE OR REPLACE FUNCTION majlis_may_start(p_instance text, p_contact text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT majlis_opted_out(p_instance, p_contact)
$$;

CREATE OR REPLACE FUNCTION majlis_opt_out(p_instance text, p_contact text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO majlis_opt_outs AS known (instance, contact) VALUES (p_instance, p_contact)
    ON CONFLICT (instance, contact) DO UPDATE SET started_at = now(), ended_at = NULL, ended_by = ''
    WHERE known.ended_at IS NOT NULL
$$;

-- Ends it under all names; returns whether there was one.
CREATE OR REPLACE FUNCTION majlis_opt_in(p_instance text, p_contact text, p_by text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE majlis_opt_outs SET ended_at = now(), ended_by = p_by
    WHERE instance = p_instance AND ended_at IS NULL
      AND contact = ANY (majlis_names(p_instance, majlis_contact_of(p_instance, p_contact, '')) || p_contact);
    RETURN FOUND;
END $$;

-- T2 with what else a reply records. An answer that is stored already stands, and with it all of this. Where the model chose
-- to say nothing the turn ends here; what that cost is counted like any answer.
CREATE OR REPLACE FUNCTION majlis_store_reply(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
    v_view jsonb;
BEGIN
    IF coalesce(p_answer ->> 'opt_out', '') = '' AND p_answer ->> 'rule' IS DISTINCT FROM 'model_silence' THEN
        RETURN majlis_record_answer(p_turn, p_epoch, p_answer, p_parts);
    END IF;
    v_turn := majlis_hold_turn(p_turn, p_epoch);
    v_view := majlis_record_answer(p_turn, p_epoch, p_answer, p_parts);
    IF v_turn.state <> 'started' THEN
        RETURN v_view;
    END IF;
    CASE p_answer ->> 'opt_out'
        WHEN 'out' THEN PERFORM majlis_opt_out(v_turn.instance, v_turn.contact);
        WHEN 'in' THEN PERFORM majlis_opt_in(v_turn.instance, v_turn.contact, 'customer');
        ELSE NULL;
    END CASE;
    IF p_answer ->> 'rule' = 'model_silence' THEN
        PERFORM majlis_count_use(v_turn.instance, p_answer -> 'answer');
        RETURN majlis_drop_rest(p_turn, p_epoch, 'model_silence');
    END IF;
    RETURN v_view;
END $$;

-- What makes the messages of a turn the same as others, beside their text: kind, file and references of each thing that is
-- said, once. `actors/repeats.py` makes the same of a batch.
CREATE OR REPLACE FUNCTION majlis_signature(p_messages jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_agg(said.what - 0 ORDER BY said.place), '[]')
    FROM (SELECT DISTINCT ON (one.what) one.what, one.place
          FROM (SELECT m.ordinality AS place, jsonb_build_array(
                           btrim(m.value ->> 'text', E' \t\n\r\f\x0b'), coalesce(m.value ->> 'kind', 'text'),
                           coalesce(m.value ->> 'media_hash', ''), coalesce(m.value -> 'context', '[]')) AS what
                FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS m (value, ordinality)
                WHERE NOT majlis_history_only(m.value)) one
          ORDER BY one.what, one.place) said
$$;
