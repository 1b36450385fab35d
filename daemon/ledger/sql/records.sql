-- dead_letters --
-- Newest first; $1: also those that were sent again or dropped, $2: how many, $3: only this one.
SELECT d.id, d.turn_id, t.conversation_key, t.batch_number, d.reason, d.detail, t.tries, d.created_at, d.retried_at,
       d.dropped_at, t.messages
FROM majlis_dead_letters d JOIN majlis_turns t ON t.id = d.turn_id
WHERE ($1 OR d.retried_at IS NULL AND d.dropped_at IS NULL) AND ($3::bigint IS NULL OR d.id = $3)
ORDER BY d.id DESC LIMIT $2

-- open_dead_letters --
SELECT count(*) FROM majlis_dead_letters WHERE retried_at IS NULL AND dropped_at IS NULL

-- mark_retried --
-- True for the first caller only.
UPDATE majlis_dead_letters SET retried_at = now() WHERE id = $1 AND retried_at IS NULL RETURNING true

-- mark_dropped --
-- True for the first caller only; what was sent again meanwhile is not dropped.
UPDATE majlis_dead_letters SET dropped_at = now() WHERE id = $1 AND retried_at IS NULL AND dropped_at IS NULL
RETURNING true

-- bury_unfinished --
WITH buried AS (
    UPDATE majlis_turns SET state = 'dead', finished_at = now() WHERE state IN ('started', 'answered') RETURNING id
)
INSERT INTO majlis_dead_letters (turn_id, reason, detail)
SELECT id, 'mirror_lost', 'the mirror was lost before the turn ended' FROM buried
RETURNING id

-- turn --
-- Any turn with its parts; which ones is said by what follows.
SELECT t.id, t.conversation_key, t.batch_number, t.lo, t.hi, t.why, t.state, t.rule, t.tries, t.messages,
       t.provider, t.model, t.input_tokens, t.output_tokens, t.cost_micros, t.confidence, t.needs_data_collection,
       t.requested_fields, t.waterfall, t.text, t.answer, t.opened_at, t.created_at, t.answered_at, t.finished_at,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object(
               'number', o.part, 'state', o.state, 'text', o.text, 'resends', o.resends,
               'gateway_message_id', o.gateway_message_id, 'reason', o.reason,
               'claimed_at', o.claimed_at, 'settled_at', o.settled_at) ORDER BY o.part)
           FROM majlis_outbox o WHERE o.turn_id = t.id), '[]') AS parts
FROM majlis_turns t

-- by_number --
WHERE t.id = $1

-- of_conversation --
-- The newest ones.
WHERE t.conversation_key = $1 ORDER BY t.batch_number DESC, t.revision DESC LIMIT $2

-- counts --
SELECT state, count(*) AS turns FROM majlis_turns GROUP BY state

-- stored_instances --
-- Those that may be answered and are not in $1, by name; `total` is how many there are.
SELECT n.name, count(*) OVER () AS total
FROM (SELECT DISTINCT i.instance_name::text AS name FROM whatsapp_instances i
      WHERE i.instance_name <> ALL ($1::text[])) n
WHERE (SELECT r.rule FROM majlis_instance_rule(n.name) r) = ''
ORDER BY n.name LIMIT $2

-- register_instances --
-- Gives the instances declared in the configuration a row, where they have none.
INSERT INTO whatsapp_instances (instance_name)
SELECT n.name FROM (SELECT DISTINCT unnest($1::text[]) AS name) n
WHERE NOT EXISTS (SELECT FROM whatsapp_instances i WHERE i.instance_name = n.name)
  AND pg_advisory_xact_lock(hashtextextended('majlis instances', 0)) IS NOT NULL
RETURNING instance_name

-- attention --
-- What somebody may have to look at, each an indexed count. $1: how old an escalation may be and still hold, in seconds.
SELECT (SELECT count(*) FROM majlis_takeovers WHERE ended_at IS NULL AND until > now()) AS taken_over,
       (SELECT count(*) FROM whatsapp_escalated_conversations
        WHERE resolved_at IS NULL AND escalated_at > now() - $1 * interval '1 second') AS escalated,
       (SELECT count(*) FROM majlis_notices WHERE sent_at IS NULL AND given_up_at IS NULL) AS notices_waiting,
       (SELECT count(*) FROM majlis_notices WHERE given_up_at IS NOT NULL) AS notices_given_up,
       (SELECT count(*) FROM majlis_dead_letters WHERE retried_at IS NULL AND dropped_at IS NULL) AS dead_letters

-- silence --
SELECT majlis_silence($1, $2, $3)

-- silent --
-- Where somebody else speaks now, the latest first; a conversation may come twice. $1: as above, $2: how many.
SELECT instance, contact, started_at AS since, until, '' AS why
FROM majlis_takeovers WHERE ended_at IS NULL AND until > now()
UNION ALL
SELECT i.instance_name, e.user_phone, e.escalated_at, NULL, coalesce(e.reason::text, '')
FROM whatsapp_escalated_conversations e JOIN whatsapp_instances i ON i.id::text = e.whatsapp_instance_id::text
WHERE e.resolved_at IS NULL AND e.escalated_at > now() - $1 * interval '1 second'
ORDER BY since DESC LIMIT $2

-- hand_back --
-- Escalations first, by themselves, so that each is counted apart.
WITH escalations AS MATERIALIZED (SELECT majlis_hand_back($1, $2, 'operator', false) AS ended)
SELECT ended AS escalations, majlis_hand_back($1, $2, 'operator', true) AS takeovers FROM escalations

-- usage --
-- By day and instance, the latest day first. $1: how many days, today included; $2: only this instance.
SELECT instance, day, answers, cached, input_tokens, output_tokens, cost_micros
FROM majlis_usage
WHERE day > (now() AT TIME ZONE 'UTC')::date - $1::integer AND ($2::text IS NULL OR instance = $2)
ORDER BY day DESC, instance

-- flags --
-- Those of one daemon, by its scope, and those of every instance.
SELECT scope, flag, value FROM majlis_flags WHERE scope = $1 OR scope LIKE 'instance:%'

-- set_flag --
INSERT INTO majlis_flags (scope, flag, value) VALUES ($1, $2, $3)
ON CONFLICT (scope, flag) DO UPDATE SET value = excluded.value, set_at = now()

-- clear_flag --
-- Repeatable: the flag is gone afterwards, whoever took it away.
DELETE FROM majlis_flags WHERE scope = $1 AND flag = $2

-- pauses --
-- Those that hold now, all instances first.
SELECT instance, started_at AS since, until FROM majlis_pauses WHERE until IS NULL OR until > now() ORDER BY instance

-- pause --
-- What stands is replaced; since when it holds is kept where it still holds. $2: for how many seconds, null: until resumed.
INSERT INTO majlis_pauses AS p (instance, until) VALUES ($1, now() + $2::double precision * interval '1 second')
ON CONFLICT (instance) DO UPDATE SET until = excluded.until,
    started_at = CASE WHEN p.until IS NULL OR p.until > now() THEN p.started_at ELSE now() END

-- unpause --
DELETE FROM majlis_pauses WHERE instance = $1

-- knows_instance --
SELECT EXISTS (SELECT FROM whatsapp_instances WHERE instance_name = $1)

-- audit --
INSERT INTO majlis_audit (uid, pid, action, target, detail) VALUES ($1, $2, $3, $4, $5)
