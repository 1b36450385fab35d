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

-- The newest messages of a turn's conversation as `majlis_history` gives them, each with its kind and what it refers to. Of a
-- message of the conversation that it refers to by its id the beginning is given, as it was said. Only the newest turns are
-- looked at: older messages stand there as texts that refer to nothing.
CREATE OR REPLACE FUNCTION majlis_told_history(
    p_turn bigint, p_max_messages integer, p_max_chars integer, p_context_chars integer)
RETURNS TABLE (sender_type text, content text, kind text, contexts jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE;
    v_conversation_id text;
    v_own text[];
BEGIN
    SELECT t.conversation_id, t.conversation_id, ARRAY(
        SELECT majlis_original_id(m.value ->> 'id') FROM jsonb_array_elements(t.messages) AS m (value)
        WHERE NOT majlis_history_only(m.value)) INTO v_conversation, v_conversation_id, v_own
    FROM majlis_turns t WHERE t.id = p_turn;
    RETURN QUERY
        WITH said AS MATERIALIZED (
            SELECT m.sender_type::text AS sender, left(m.content::text, p_max_chars) AS words, m.message_id::text AS id,
                   row_number() OVER (ORDER BY m.created_at DESC, m.id DESC) AS place
            FROM whatsapp_messages m
            WHERE m.conversation_id = v_conversation
              AND m.content <> ''
              AND (m.message_id IS NULL OR m.message_id::text <> ALL (v_own))
            ORDER BY m.created_at DESC, m.id DESC
            LIMIT p_max_messages
        ), referring AS MATERIALIZED (
            SELECT DISTINCT ON (1) majlis_original_id(e.value ->> 'id') AS id, e.value ->> 'kind' AS kind,
                   e.value -> 'context' AS contexts
            -- With a range of one the index of the conversation is the only one in this order.
            FROM (SELECT t.id FROM majlis_turns t
                  WHERE t.conversation_id >= v_conversation_id AND t.conversation_id <= v_conversation_id AND t.id <= p_turn
                  ORDER BY t.conversation_id DESC, t.id DESC LIMIT 20) AS newest
            JOIN majlis_turns t ON t.id = newest.id
            CROSS JOIN LATERAL jsonb_array_elements(t.messages) AS e (value)
            -- Most are text that refers to nothing, and need not be taken apart to see it; a text has no kind.
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
