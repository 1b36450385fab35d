-- The messages of the last 30 days, filled in without locking out a running daemon; newer ones are filled in by T1 already.

INSERT INTO majlis_heard (message_id, conversation_key, turn_id)
SELECT DISTINCT ON (m.id, t.conversation_key) m.id, t.conversation_key, t.id
FROM majlis_turns t CROSS JOIN LATERAL unnest(t.message_ids) AS m (id)
WHERE t.created_at > now() - interval '30 days'
ORDER BY m.id, t.conversation_key, t.id DESC
ON CONFLICT DO NOTHING;
