-- turns_of --
-- Every turn that a message was part of, under its own id and the ids of its replays, oldest first.
-- $1: the ids, $2: only this instance, $3: limit.
SELECT t.id, t.conversation_key, t.instance, t.batch_number, t.why, t.state, t.rule, t.tries, t.moved_to,
       t.messages, t.message_ids, t.provider, t.model, t.input_tokens, t.output_tokens, t.cost_micros, t.estimated,
       t.confidence, t.waterfall, t.failures, t.cut, t.opened_at, t.created_at, t.answered_at, t.finished_at,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object(
               'number', o.part, 'state', o.state, 'text', o.text, 'resends', o.resends,
               'gateway_message_id', o.gateway_message_id, 'reason', o.reason, 'claimed_at', o.claimed_at,
               'last_claimed_at', o.last_claimed_at, 'settled_at', o.settled_at) ORDER BY o.part)
           FROM majlis_outbox o WHERE o.turn_id = t.id), '[]') AS parts,
       (SELECT jsonb_build_object('id', d.id, 'reason', d.reason, 'detail', d.detail, 'created_at', d.created_at,
                                  'retried_at', d.retried_at, 'dropped_at', d.dropped_at)
        FROM majlis_dead_letters d WHERE d.turn_id = t.id) AS dead_letter
FROM majlis_turns t
WHERE t.id = ANY (ARRAY(SELECT majlis_turns_of_messages($1::text[]))) AND ($2::text IS NULL OR t.instance = $2)
ORDER BY t.id LIMIT $3

-- own_message --
-- By its id. $1: the id, $2: only this instance, $3: limit.
SELECT majlis_own_view(o)
FROM majlis_own_messages o
WHERE o.message_id = $1 AND ($2::text IS NULL OR o.instance = $2)
ORDER BY o.instance LIMIT $3

-- latest_turns --
-- Newest first. $1: only this instance, $2: limit. For one instance only the newest 10,000 turns of all are searched:
-- an instance that was silent for longer is not worth a scan of the whole table.
SELECT t.id, t.conversation_key, t.state, t.rule, t.provider, cardinality(t.message_ids) AS messages,
       t.created_at, t.finished_at
FROM majlis_turns t
WHERE $1::text IS NULL OR (t.instance = $1 AND t.id > (SELECT coalesce(max(id), 0) - 10000 FROM majlis_turns))
ORDER BY t.id DESC LIMIT $2

-- lease_owners --
-- Who holds each partition, and for how much longer.
SELECT partition, epoch, owner, extract(epoch FROM until - now())::double precision AS seconds_left
FROM majlis_partitions ORDER BY partition
