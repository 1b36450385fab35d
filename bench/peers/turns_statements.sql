-- What both peers of `make bench-turns` ask Postgres, by name. A turn is three writes and at most eight lookups.

-- name: instance
SELECT * FROM instances WHERE name = $1;

-- name: open_turn
WITH conversation AS (
    INSERT INTO conversations (instance_id, phone) SELECT id, $2 FROM instances WHERE name = $1
    ON CONFLICT (instance_id, phone) DO UPDATE SET last_activity = now(), status = 'active'
    RETURNING id
), stored AS (
    INSERT INTO messages (conversation_id, sender, content, message_id)
    SELECT conversation.id, 'user', batch.content, batch.message_id
    FROM conversation, unnest($3::text[], $4::text[]) AS batch(content, message_id)
    ON CONFLICT DO NOTHING
)
INSERT INTO turns (conversation_id, batch, text_hash) SELECT id, $5, $6 FROM conversation
ON CONFLICT (batch) DO UPDATE SET batch = excluded.batch
RETURNING id, conversation_id, state, answer;

-- name: was_answered
SELECT EXISTS (
    SELECT FROM turns WHERE conversation_id = $1 AND text_hash = $2 AND id < $3 AND state = 'done'
        AND sent_at > now() - interval '300 s') AS found;

-- name: history
SELECT sender, content FROM messages WHERE conversation_id = $1 AND NOT (message_id = ANY ($2))
ORDER BY created_at DESC LIMIT 100;

-- name: webhook
SELECT webhook_url FROM instances WHERE id = $1;

-- name: escalation
SELECT at FROM escalations WHERE conversation_id = $1;

-- name: usage
SELECT tokens FROM usage WHERE instance_id = $1 AND day = current_date;

-- name: kept_answer
SELECT answer FROM answer_cache WHERE instance_id = $1 AND question_hash = $2
    AND created_at > now() - interval '1 h';

-- name: store_answer
WITH answered AS (
    UPDATE turns SET answer = $2, state = 'answered', tokens_in = $3, tokens_out = $4 WHERE id = $1
)
INSERT INTO usage VALUES ($5, current_date, $6)
ON CONFLICT (instance_id, day) DO UPDATE SET tokens = usage.tokens + excluded.tokens;

-- name: end_turn
WITH ended AS (
    UPDATE turns SET state = 'done', gateway_id = $2, sent_at = now() WHERE id = $1
), reply AS (
    INSERT INTO messages (conversation_id, sender, content, message_id) VALUES ($3, 'assistant', $4, $2)
)
INSERT INTO interactions (instance_id, phone, user_message, metadata) VALUES ($5, $6, $7, $8);
