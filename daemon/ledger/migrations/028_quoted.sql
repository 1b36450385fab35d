-- The messages of a turn's conversation with these ids: who wrote each, and the beginning of it. What stands in the
-- conversation comes first, then parts of our replies whose turn has not ended, then notices to this contact.
CREATE OR REPLACE FUNCTION majlis_quoted(p_turn bigint, p_ids text[], p_max_chars integer)
RETURNS TABLE (id text, sender text, said text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_turn majlis_turns;
    v_conversation whatsapp_messages.conversation_id%TYPE;
BEGIN
    SELECT * INTO v_turn FROM majlis_turns t WHERE t.id = p_turn;
    v_conversation := v_turn.conversation_id;
    RETURN QUERY
        SELECT DISTINCT ON (found.id) found.id, found.sender, left(found.said, p_max_chars)
        FROM (
            SELECT m.message_id::text AS id, coalesce(m.sender_type::text, '') AS sender, m.content::text AS said, 1 AS place
            FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation AND m.message_id = ANY (p_ids)
            UNION ALL
            SELECT o.gateway_message_id, 'assistant', o.text, 2
            FROM majlis_outbox o JOIN majlis_turns t ON t.id = o.turn_id
            WHERE o.gateway_message_id = ANY (p_ids) AND t.instance = v_turn.instance
              AND (t.contact = v_turn.contact OR t.conversation_id = v_turn.conversation_id)
            UNION ALL
            SELECT n.gateway_message_id, 'assistant', n.body, 3
            FROM majlis_notices n
            WHERE n.gateway_message_id = ANY (p_ids) AND n.instance = v_turn.instance AND n.kind = 'whatsapp'
              AND n.target = ANY (majlis_spellings(v_turn.contact))
        ) AS found
        WHERE found.said <> ''
        ORDER BY found.id, found.place;
END $$;
