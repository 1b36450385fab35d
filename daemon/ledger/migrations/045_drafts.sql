-- Trying a prompt before it is live.

-- What had been said in the conversation of a turn before it began, the newest first.
CREATE OR REPLACE FUNCTION majlis_said_before(p_turn bigint, p_max_messages integer, p_max_chars integer)
RETURNS TABLE (sender_type text, content text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_began timestamptz;
    v_own text[];
BEGIN
    SELECT t.conversation_id, t.created_at, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value))
    INTO v_conversation, v_began, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    RETURN QUERY
        SELECT coalesce(m.sender_type::text, ''), left(m.content::text, p_max_chars)
        FROM whatsapp_messages m
        WHERE m.conversation_id = v_conversation AND m.created_at < v_began AND m.content <> ''
          AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
        ORDER BY m.created_at DESC, m.id DESC LIMIT p_max_messages;
END $$;

-- What was paid for outside of turns counts for the day as well.
CREATE OR REPLACE FUNCTION majlis_add_usage(
    p_instance text, p_input_tokens bigint, p_output_tokens bigint, p_cost_micros bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO majlis_usage AS used (instance, day, input_tokens, output_tokens, cost_micros)
    VALUES (p_instance, (now() AT TIME ZONE 'UTC')::date, p_input_tokens, p_output_tokens, p_cost_micros)
    ON CONFLICT (instance, day) DO UPDATE
    SET input_tokens = used.input_tokens + excluded.input_tokens,
        output_tokens = used.output_tokens + excluded.output_tokens, cost_micros = used.cost_micros + excluded.cost_micros
$$;
