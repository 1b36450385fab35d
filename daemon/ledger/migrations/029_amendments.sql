-- What is not answered by itself: reactions, edits and deletions that were applied, what was deleted, what was old when it
-- arrived. `aside` says why, beside `swept`. T1 gets the messages with edits and deletions applied.

CREATE OR REPLACE FUNCTION majlis_history_only(p_message jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(p_message ->> 'aside', '') <> ''
        OR coalesce(p_message ->> 'swept', '') IN ('too_old', 'already_answered')
$$;

-- As in 023. Of what is set aside nothing is stored that has no text; what was old when it arrived has its own time; the note
-- of a deletion says what was deleted, where that is known.
CREATE OR REPLACE FUNCTION majlis_store_messages(p_conversation_id text, p_messages jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
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
      AND NOT EXISTS (SELECT FROM whatsapp_messages k
                      WHERE k.conversation_id = v_conversation
                        AND k.message_id = majlis_original_id(m.value ->> 'id'))
    ORDER BY m.ordinality
    ON CONFLICT DO NOTHING;
END $$;
