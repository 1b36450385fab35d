-- What answers cost that could not be used, answers that end before their end, and what reached the customer of a dead letter.

-- `cut`: why the answer is not the whole one; empty: it is. `failures`: the providers that were asked in vain, one entry for
-- each call. `spent_by`: the attempt whose spending was added last. Tokens and cost of a turn are those of all its attempts.
ALTER TABLE majlis_turns
    ADD COLUMN IF NOT EXISTS cut text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS failures jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS spent_by text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION majlis_tokens(p_some bigint, p_more bigint) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT least(coalesce(p_some, 0) + coalesce(p_more, 0), 2147483647)::integer
$$;

-- An attempt failed after it had asked: what that cost is added to the turn and to the day, once for each `p_token`. A turn
-- that has its answer already is left alone: that answer told what it cost.
CREATE OR REPLACE FUNCTION majlis_spend(p_turn bigint, p_epoch bigint, p_token text, p_spent jsonb, p_failures jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_input bigint := (p_spent ->> 'input_tokens')::bigint;
    v_output bigint := (p_spent ->> 'output_tokens')::bigint;
    v_cost bigint := (p_spent ->> 'cost_micros')::bigint;
BEGIN
    IF v_turn.state <> 'started' OR v_turn.spent_by = p_token THEN
        RETURN;
    END IF;
    UPDATE majlis_turns
    SET spent_by = p_token, input_tokens = majlis_tokens(input_tokens, v_input),
        output_tokens = majlis_tokens(output_tokens, v_output), cost_micros = cost_micros + v_cost,
        failures = CASE WHEN jsonb_array_length(failures) < 100 THEN failures || p_failures ELSE failures END
    WHERE id = p_turn;
    IF v_input > 0 OR v_output > 0 OR v_cost > 0 THEN
        INSERT INTO majlis_usage AS used (instance, day, input_tokens, output_tokens, cost_micros)
        VALUES (v_turn.instance, (now() AT TIME ZONE 'UTC')::date, v_input, v_output, v_cost)
        ON CONFLICT (instance, day) DO UPDATE
        SET input_tokens = used.input_tokens + excluded.input_tokens,
            output_tokens = used.output_tokens + excluded.output_tokens,
            cost_micros = used.cost_micros + excluded.cost_micros;
    END IF;
END $$;

-- T2 with why the answer is cut, and on top of what earlier attempts have spent.
CREATE OR REPLACE FUNCTION majlis_keep_reply(p_turn bigint, p_epoch bigint, p_answer jsonb, p_parts jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
    v_view jsonb;
    v_cut text := coalesce(p_answer -> 'answer' ->> 'cut', '');
BEGIN
    SELECT * INTO v_turn FROM majlis_turns WHERE id = p_turn FOR NO KEY UPDATE;
    v_view := majlis_store_reply(p_turn, p_epoch, p_answer, p_parts);
    IF v_turn.state = 'started' AND (v_cut <> '' OR v_turn.spent_by <> '') THEN
        UPDATE majlis_turns
        SET cut = v_cut, input_tokens = majlis_tokens(input_tokens, v_turn.input_tokens),
            output_tokens = majlis_tokens(output_tokens, v_turn.output_tokens),
            cost_micros = cost_micros + v_turn.cost_micros
        WHERE id = p_turn;
    END IF;
    RETURN v_view;
END $$;

-- End the turn as a dead letter, as in 005. What of it reached the customer is read from its parts when somebody asks: they
-- may be proven sent later, and they may be those of the fallback message.
CREATE OR REPLACE FUNCTION majlis_bury_turn(p_turn bigint, p_epoch bigint, p_reason text, p_detail text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state = 'dead' THEN
        RETURN;
    ELSIF v_turn.state NOT IN ('started', 'answered') THEN
        PERFORM majlis_out_of_order(v_turn, 'be buried');
    END IF;
    UPDATE majlis_turns SET state = 'dead', finished_at = now(), epoch = p_epoch WHERE id = p_turn;
    PERFORM majlis_store_replies(v_turn);
    INSERT INTO majlis_dead_letters (turn_id, reason, detail) VALUES (p_turn, p_reason, p_detail);
END $$;
