-- dead_letters --
-- Newest first. $1: include retried and dropped ones, $2: limit, $3: only this one.
SELECT d.id, d.turn_id, t.conversation_key, t.batch_number, d.reason, d.detail, t.tries, d.created_at, d.retried_at,
       d.dropped_at, t.messages, t.provider, t.failures, t.cost_micros,
       ARRAY(SELECT o.state FROM majlis_outbox o WHERE o.turn_id = t.id ORDER BY o.part) AS parts
FROM majlis_dead_letters d JOIN majlis_turns t ON t.id = d.turn_id
WHERE ($1 OR d.retried_at IS NULL AND d.dropped_at IS NULL) AND ($3::bigint IS NULL OR d.id = $3)
ORDER BY d.id DESC LIMIT $2

-- open_dead_letters --
SELECT count(*) FROM majlis_dead_letters WHERE retried_at IS NULL AND dropped_at IS NULL

-- refused_lids --
-- Open dead letters of LIDs that WhatsApp did not know, with the phone number if it is known; oldest first. $1: limit.
SELECT d.id, t.instance, t.contact AS lid, coalesce(i.phone, '') AS phone
FROM majlis_dead_letters d JOIN majlis_turns t ON t.id = d.turn_id
LEFT JOIN majlis_identities i ON i.instance = t.instance AND i.lid = t.contact
WHERE d.retried_at IS NULL AND d.dropped_at IS NULL AND d.reason = 'not_on_whatsapp' AND t.contact LIKE '%@lid'
ORDER BY d.id LIMIT $1

-- mark_retried --
-- True for the first caller only.
UPDATE majlis_dead_letters SET retried_at = now() WHERE id = $1 AND retried_at IS NULL RETURNING true

-- mark_dropped --
-- True for the first caller only. A dead letter retried in the meantime is not dropped.
UPDATE majlis_dead_letters SET dropped_at = now() WHERE id = $1 AND retried_at IS NULL AND dropped_at IS NULL
RETURNING true

-- bury_unfinished --
WITH buried AS (
    UPDATE majlis_turns SET state = 'dead', finished_at = now()
    WHERE id = ANY (ARRAY(SELECT turn_id FROM majlis_open_turns)) AND state IN ('started', 'answered', 'superseded')
    RETURNING id
)
INSERT INTO majlis_dead_letters (turn_id, reason, detail)
SELECT id, 'mirror_lost', 'the mirror was lost before the turn ended' FROM buried
RETURNING id

-- turn --
-- Turns with their parts; completed by one of the next two.
SELECT t.id, t.conversation_key, t.batch_number, t.lo, t.hi, t.why, t.state, t.rule, t.tries, t.messages,
       t.provider, t.model, t.input_tokens, t.output_tokens, t.cost_micros, t.estimated, t.confidence, t.needs_data_collection,
       t.requested_fields, t.waterfall, t.failures, t.cut, t.text, t.answer, t.opened_at, t.created_at, t.answered_at, t.finished_at,
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

-- has_turns --
SELECT EXISTS (SELECT FROM majlis_turns)

-- stored_instances --
-- Instances that may be answered and are not in $1, by name; `total` counts all of them.
SELECT n.name, count(*) OVER () AS total
FROM (SELECT DISTINCT i.instance_name::text AS name FROM whatsapp_instances i
      WHERE i.instance_name <> ALL ($1::text[])) n
WHERE (SELECT r.rule FROM majlis_instance_rule(n.name) r) = ''
ORDER BY n.name LIMIT $2

-- last_sends --
-- What became of the newest parts that were claimed within a day, newest first. $1: the instances, $2: at most so many
-- parts of each. Only the newest 10,000 turns of all are searched, and the playground's customers are left out. An id is
-- left out for some seconds, in which the gateway may not have recorded it yet.
SELECT p.instance, p.state, p.reason, p.id
FROM (SELECT t.instance, o.state, coalesce(o.reason, '') AS reason,
             CASE WHEN o.state = 'sent' AND o.settled_at < now() - interval '10 seconds'
                  THEN coalesce(o.gateway_message_id, '') ELSE '' END AS id,
             row_number() OVER (PARTITION BY t.instance ORDER BY o.last_claimed_at DESC, o.part DESC) AS place
      FROM majlis_turns t JOIN majlis_outbox o ON o.turn_id = t.id
      WHERE t.id > (SELECT coalesce(max(id), 0) - 10000 FROM majlis_turns)
        AND t.instance = ANY ($1::text[]) AND t.contact !~ '^999[0-9]{12}$'
        AND o.last_claimed_at > now() - interval '1 day'
        AND (o.state IN ('sent', 'failed_later') OR o.state = 'pending' AND o.reason IS NOT NULL)) p
WHERE p.place <= $2
ORDER BY p.instance, p.place

-- register_instances --
-- Inserts a row for each configured instance that has none. An existing table may lack a unique key on the name, so
-- a lock keeps two daemons from inserting the same one.
INSERT INTO whatsapp_instances (instance_name)
SELECT n.name FROM (SELECT DISTINCT unnest($1::text[]) AS name) n
WHERE NOT EXISTS (SELECT FROM whatsapp_instances i WHERE i.instance_name = n.name)
  AND pg_advisory_xact_lock(hashtextextended('majlis instances', 0)) IS NOT NULL
RETURNING instance_name

-- attention --
-- What may need a person, each an indexed count. $1: the age in seconds at which an escalation ends.
SELECT (SELECT count(*) FROM majlis_takeovers WHERE ended_at IS NULL AND until > now()) AS taken_over,
       (SELECT count(*) FROM majlis_opt_outs WHERE ended_at IS NULL) AS opted_out,
       (SELECT count(*) FROM majlis_machines WHERE ended_at IS NULL AND until > now()) AS machines,
       (SELECT count(*) FROM whatsapp_escalated_conversations
        WHERE resolved_at IS NULL AND escalated_at > now() - $1 * interval '1 second') AS escalated,
       (SELECT count(*) FROM majlis_notices WHERE sent_at IS NULL AND given_up_at IS NULL) AS notices_waiting,
       (SELECT count(*) FROM majlis_notices WHERE given_up_at IS NOT NULL) AS notices_given_up,
       (SELECT count(*) FROM majlis_dead_letters WHERE retried_at IS NULL AND dropped_at IS NULL) AS dead_letters,
       f.*
FROM (SELECT coalesce(sum(waiting), 0)::bigint AS forwards_waiting,
             coalesce(sum(waiting_bytes), 0)::bigint AS forwards_bytes,
             coalesce(sum(dead), 0)::bigint AS forwards_dead,
             extract(epoch FROM now() - min(oldest_at))::float8 AS forwards_oldest_seconds
      FROM majlis_forward_view) f

-- silence --
SELECT majlis_silence($1, $2, $3) || jsonb_build_object('opted_out', majlis_opted_out_since($1, $2))

-- silent --
-- Where Majlis does not answer now, the latest first; a conversation may come several times. $1: as above, $2: limit.
SELECT 'taken_over' AS rule, instance, contact, started_at AS since, until, '' AS why, '{}'::text[] AS signs
FROM majlis_takeovers WHERE ended_at IS NULL AND until > now()
UNION ALL
SELECT 'opted_out', instance, contact, started_at, NULL, '', '{}'
FROM majlis_opt_outs WHERE ended_at IS NULL
UNION ALL
SELECT 'machine', instance, contact, started_at, until, '', signs
FROM majlis_machines WHERE ended_at IS NULL AND until > now()
UNION ALL
SELECT 'escalated', i.instance_name, e.user_phone, e.escalated_at, NULL, coalesce(e.reason::text, ''), '{}'
FROM whatsapp_escalated_conversations e JOIN whatsapp_instances i ON i.id::text = e.whatsapp_instance_id::text
WHERE e.resolved_at IS NULL AND e.escalated_at > now() - $1 * interval '1 second'
ORDER BY since DESC LIMIT $2

-- hand_back --
-- MATERIALIZED, so that the escalations are ended and counted before the second call ends everything else.
WITH escalations AS MATERIALIZED (SELECT majlis_hand_back($1, $2, 'operator', false) AS ended)
SELECT ended AS escalations, majlis_hand_back($1, $2, 'operator', true) AS takeovers,
       majlis_end_machine($1, $2, 'operator') AS machines
FROM escalations

-- known --
-- Which of these conversations there are, the one with the latest turn first. $1: their keys.
SELECT k.key FROM unnest($1::text[]) AS k (key)
CROSS JOIN LATERAL (SELECT batch_number FROM majlis_turns WHERE conversation_key = k.key
                    ORDER BY batch_number DESC LIMIT 1) t
ORDER BY t.batch_number DESC

-- opt_in --
SELECT majlis_opt_in($1, $2, 'operator')

-- note_registered --
-- Their first versions.
SELECT majlis_note_version(n, 'config.yaml', '', 'change') FROM unnest($1::text[]) AS n

-- instance_numbers --
-- The gateway named the number of each of these instances; $1: the names, $2: the numbers.
INSERT INTO majlis_instance_numbers (instance, number)
SELECT DISTINCT ON (n.instance) n.instance, n.number FROM unnest($1::text[], $2::text[]) AS n (instance, number)
ON CONFLICT (instance) DO UPDATE SET number = excluded.number, seen_at = now()
-- own_messages --
-- What the business wrote in a conversation, the latest first. $1, $2: the conversation, $3: limit.
SELECT majlis_own_view(o)
FROM majlis_own_messages o
WHERE o.instance = $1 AND o.contact = ANY (majlis_names($1, $2))
ORDER BY o.sent_at DESC LIMIT $3

-- usage --
-- By day and instance, the latest day first. $1: number of days including today, $2: only this instance.
SELECT instance, day, answers, cached, input_tokens, output_tokens, cost_micros, superseded, estimated_micros
FROM majlis_usage
WHERE day > (now() AT TIME ZONE 'UTC')::date - $1::integer AND ($2::text IS NULL OR instance = $2)
ORDER BY day DESC, instance

-- add_usage --
SELECT majlis_add_usage($1, $2, $3, $4)

-- run_time --
-- What was set at run time for one daemon, by its scope, and for every instance: flags, and at most $2 settings. What was
-- set first comes first.
(SELECT true AS is_flag, scope, majlis_bucket(scope) AS bucket, flag AS key, value::text AS value, set_at, '' AS set_by
 FROM majlis_flags WHERE scope = $1 OR scope LIKE 'instance:%')
UNION ALL
(SELECT false, scope, majlis_bucket(scope), key, value::text, set_at, set_by FROM majlis_settings
 WHERE scope = $1 OR scope LIKE 'instance:%' ORDER BY set_at, scope, key LIMIT $2)
ORDER BY set_at, scope, key

-- run_time_of_buckets --
-- The same of the scopes in these buckets.
(SELECT true AS is_flag, scope, majlis_bucket(scope) AS bucket, flag AS key, value::text AS value, set_at, '' AS set_by
 FROM majlis_flags WHERE majlis_bucket(scope) = ANY ($3::integer[]) AND (scope = $1 OR scope LIKE 'instance:%'))
UNION ALL
(SELECT false, scope, majlis_bucket(scope), key, value::text, set_at, set_by FROM majlis_settings
 WHERE majlis_bucket(scope) = ANY ($3::integer[]) AND (scope = $1 OR scope LIKE 'instance:%')
 ORDER BY set_at, scope, key LIMIT $2)
ORDER BY set_at, scope, key

-- set_setting --
INSERT INTO majlis_settings (scope, key, value, set_by) VALUES ($1, $2, $3::jsonb, $4)
ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = now()

-- clear_setting --
-- Idempotent.
DELETE FROM majlis_settings WHERE scope = $1 AND key = $2

-- set_flag --
INSERT INTO majlis_flags (scope, flag, value) VALUES ($1, $2, $3)
ON CONFLICT (scope, flag) DO UPDATE SET value = excluded.value, set_at = now()

-- clear_flag --
-- Idempotent.
DELETE FROM majlis_flags WHERE scope = $1 AND flag = $2

-- pauses --
-- The pauses in force; the one of all instances sorts first.
SELECT instance, started_at AS since, until FROM majlis_pauses WHERE until IS NULL OR until > now() ORDER BY instance

-- pause --
-- Replaces an existing pause; one still in force keeps its start. $2: seconds, NULL: until resumed.
INSERT INTO majlis_pauses AS p (instance, until) VALUES ($1, now() + $2::double precision * interval '1 second')
ON CONFLICT (instance) DO UPDATE SET until = excluded.until,
    started_at = CASE WHEN p.until IS NULL OR p.until > now() THEN p.started_at ELSE now() END

-- unpause --
DELETE FROM majlis_pauses WHERE instance = $1

-- knows_instance --
SELECT EXISTS (SELECT FROM whatsapp_instances WHERE instance_name = $1) AND NOT majlis_is_removed($1)

-- audit --
INSERT INTO majlis_audit (uid, pid, action, target, detail) VALUES ($1, $2, $3, $4, $5) RETURNING id

-- audit_outcome --
UPDATE majlis_audit SET outcome = $2, why = $3 WHERE id = $1

-- audited --
SELECT id, at, uid, action, target, coalesce(detail ->> 'origin', '') AS origin,
       coalesce(detail ->> 'session', '') AS session, outcome, why
FROM majlis_audit WHERE starts_with(action, $2) ORDER BY id DESC LIMIT $1

-- note_unknown_own --
-- $3: Unix seconds; 0: not known.
SELECT majlis_note_unknown_own($1, $2, least(now(), coalesce(to_timestamp(nullif($3::bigint, 0)), now())), $4)

-- came_too_early --
SELECT instance, messages FROM majlis_came_too_early($1, $2)
