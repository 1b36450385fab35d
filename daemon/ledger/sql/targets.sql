-- turn_figures --
-- What was measured of the turns that ended. $1: the period in seconds, $2: only this instance, $3: an answer that took more
-- seconds is slow. Only the newest $4 turns of all are read: `since` says how far back these reach. The
-- playground's customers are left out.
WITH newest AS MATERIALIZED (
    -- In the order of the index: however many turns there are, no more are read.
    SELECT t.id, t.state, t.instance, t.contact, t.created_at, t.finished_at, t.window_ended_at, t.cost_micros,
           cardinality(t.message_ids) AS messages,
           t.cost_micros = 0 AND coalesce(t.input_tokens, 0) + coalesce(t.output_tokens, 0) > 0 AS unpriced
    FROM majlis_turns t ORDER BY t.id DESC LIMIT $4::bigint
), began AS MATERIALIZED (
    SELECT greatest(now() - $1::double precision * interval '1 second',
                    CASE WHEN count(*) >= $4::bigint THEN min(created_at) END) AS at
    FROM newest
), ended AS MATERIALIZED (
    SELECT * FROM newest t
    WHERE t.finished_at > (SELECT at FROM began) AND t.state IN ('done', 'dead', 'superseded')
      AND ($2::text IS NULL OR t.instance = $2) AND t.contact !~ '^999[0-9]{12}$'
), timed AS MATERIALIZED (
    SELECT greatest(0, extract(epoch FROM o.settled_at - e.window_ended_at))::double precision AS seconds
    FROM ended e
    -- OFFSET 0: one look into the index for each, also by a plan that was made when the tables were empty.
    CROSS JOIN LATERAL (SELECT settled_at FROM majlis_outbox
                        WHERE turn_id = e.id AND part = 0 AND state = 'sent' OFFSET 0) o
    WHERE e.state = 'done' AND e.window_ended_at IS NOT NULL
)
SELECT e.*, s.*, b.at AS since
FROM began b,
     (SELECT count(*) FILTER (WHERE state = 'done') AS answered, count(*) FILTER (WHERE state = 'dead') AS dead,
             coalesce(sum(messages) FILTER (WHERE state = 'done' AND NOT unpriced), 0)::bigint AS messages,
             coalesce(sum(cost_micros) FILTER (WHERE state IN ('done', 'superseded') AND NOT unpriced), 0)::bigint AS cost_micros,
             count(*) FILTER (WHERE state = 'done' AND unpriced) AS unpriced
      FROM ended) e,
     (SELECT count(*) AS timed, count(*) FILTER (WHERE seconds > $3) AS slow,
             percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS response_p95_seconds
      FROM timed) s

-- load_figures --
-- What all daemons carried together, minute by minute. $1: the period in seconds, $2, $3: fewer conversations, or messages
-- in a minute, than these are fewer than what is aimed at.
SELECT count(*) AS minutes, coalesce(max(conversations), 0) AS conversations, coalesce(max(messages), 0) AS messages,
       count(*) FILTER (WHERE turned_away > 0 AND conversations < $2::integer) AS conversations_missed,
       count(*) FILTER (WHERE turned_away > 0 AND messages < $3::integer) AS messages_missed
FROM (SELECT sum(conversations)::bigint AS conversations, sum(messages)::bigint AS messages,
             sum(turned_away)::bigint AS turned_away
      FROM majlis_minutes WHERE minute > now() - $1::double precision * interval '1 second' GROUP BY minute) m

-- store_minutes --
-- Of one daemon. Idempotent: of a minute in which it was started again the fuller part counts. What is older than $6 seconds
-- goes.
WITH old AS (
    DELETE FROM majlis_minutes WHERE minute < now() - $6::double precision * interval '1 second'
)
INSERT INTO majlis_minutes AS m (minute, node_id, conversations, messages, turned_away)
SELECT u.minute, $1, u.conversations, u.messages, u.turned_away
FROM unnest($2::timestamptz[], $3::integer[], $4::integer[], $5::integer[]) AS u (minute, conversations, messages, turned_away)
ON CONFLICT (minute, node_id) DO UPDATE
SET conversations = greatest(m.conversations, excluded.conversations), messages = greatest(m.messages, excluded.messages),
    turned_away = greatest(m.turned_away, excluded.turned_away)
