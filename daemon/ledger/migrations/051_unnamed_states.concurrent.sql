-- What the indexes found that name what the steps of a turn change is found otherwise (050). First what was not written there
-- before: messages of turns from before majlis_heard, and repetitions. Each statement reads the turns once.

INSERT INTO majlis_heard (message_id, conversation_key, turn_id)
SELECT DISTINCT ON (m.id, t.conversation_key) m.id, t.conversation_key, t.id
FROM majlis_turns t CROSS JOIN LATERAL unnest(t.message_ids) AS m (id)
WHERE t.rule <> 'duplicate' AND t.id < (SELECT coalesce(min(turn_id), 9223372036854775807) FROM majlis_heard)
ORDER BY m.id, t.conversation_key, t.id DESC
ON CONFLICT DO NOTHING;
INSERT INTO majlis_heard_again (message_id, turn_id)
SELECT DISTINCT m.id, t.id
FROM majlis_turns t CROSS JOIN LATERAL unnest(t.message_ids) AS m (id)
LEFT JOIN majlis_heard h ON h.message_id = m.id AND h.conversation_key = t.conversation_key AND h.turn_id = t.id
WHERE h.turn_id IS NULL
ON CONFLICT DO NOTHING;
DROP INDEX CONCURRENTLY IF EXISTS majlis_turns_state_idx;
DROP INDEX CONCURRENTLY IF EXISTS majlis_turns_unfinished_idx;
DROP INDEX CONCURRENTLY IF EXISTS majlis_turns_contact_idx;
DROP INDEX CONCURRENTLY IF EXISTS majlis_turns_message_ids_idx;
