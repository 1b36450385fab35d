-- dead_letters --
-- Newest first; $1: also those that were sent again, $2: how many, $3: only this one.
SELECT d.id, d.turn_id, t.conversation_key, t.batch_number, d.reason, d.detail, t.tries, d.created_at, d.retried_at,
       t.messages
FROM majlis_dead_letters d JOIN majlis_turns t ON t.id = d.turn_id
WHERE ($1 OR d.retried_at IS NULL) AND ($3::bigint IS NULL OR d.id = $3)
ORDER BY d.id DESC LIMIT $2

-- open_dead_letters --
SELECT count(*) FROM majlis_dead_letters WHERE retried_at IS NULL

-- mark_retried --
-- True for the first caller only.
UPDATE majlis_dead_letters SET retried_at = now() WHERE id = $1 AND retried_at IS NULL RETURNING true

-- bury_unfinished --
WITH buried AS (
    UPDATE majlis_turns SET state = 'dead', finished_at = now() WHERE state IN ('started', 'answered') RETURNING id
)
INSERT INTO majlis_dead_letters (turn_id, reason, detail)
SELECT id, 'mirror_lost', 'the mirror was lost before the turn ended' FROM buried
RETURNING id

-- turns --
-- The newest turns of one conversation with their parts.
SELECT t.id, t.batch_number, t.revision, t.lo, t.hi, t.why, t.state, t.rule, t.tries, jsonb_array_length(t.messages) AS messages,
       t.provider, t.model,
       t.input_tokens, t.output_tokens, t.text, t.answer, t.opened_at, t.created_at, t.answered_at, t.finished_at,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object(
               'number', o.part, 'state', o.state, 'text', o.text, 'resends', o.resends,
               'gateway_message_id', o.gateway_message_id, 'reason', o.reason) ORDER BY o.part)
           FROM majlis_outbox o WHERE o.turn_id = t.id), '[]') AS parts
FROM majlis_turns t WHERE t.conversation_key = $1
ORDER BY t.batch_number DESC, t.revision DESC LIMIT $2

-- counts --
SELECT state, count(*) AS turns FROM majlis_turns GROUP BY state

-- register_instances --
-- Gives the instances declared in the configuration a row, where they have none.
INSERT INTO whatsapp_instances (instance_name)
SELECT n.name FROM (SELECT DISTINCT unnest($1::text[]) AS name) n
WHERE NOT EXISTS (SELECT FROM whatsapp_instances i WHERE i.instance_name = n.name)
  AND pg_advisory_xact_lock(hashtextextended('majlis instances', 0)) IS NOT NULL
RETURNING instance_name

-- audit --
INSERT INTO majlis_audit (uid, pid, action, target, detail) VALUES ($1, $2, $3, $4, $5)
