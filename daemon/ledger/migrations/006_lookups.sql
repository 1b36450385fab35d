-- The newest messages of a turn's conversation, without its own batch, newest first.
CREATE OR REPLACE FUNCTION majlis_history(p_turn bigint, p_max_messages integer, p_max_chars integer)
RETURNS TABLE (sender_type text, content text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_own text[];
BEGIN
    SELECT t.conversation_id, ARRAY(SELECT majlis_original_id(unnest(t.message_ids))) INTO v_conversation, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    RETURN QUERY
        SELECT m.sender_type::text, left(m.content::text, p_max_chars)
        FROM whatsapp_messages m
        WHERE m.conversation_id = v_conversation
          AND m.content <> ''
          AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
        ORDER BY m.created_at DESC, m.id DESC
        LIMIT p_max_messages;
END $$;
