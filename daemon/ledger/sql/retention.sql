-- old_turns --
-- Deletes, of the $3 turns after number $1, those that ended more than $2 days ago, with all that belongs to them. Kept are
-- turns that have not ended, dead letters, open or dropped, and whatever somebody works with. `old`: whether any is that old.
WITH page AS MATERIALIZED (
    SELECT id, created_at < now() - $2::integer * interval '1 day' AS old
    FROM majlis_turns WHERE id > $1::bigint ORDER BY id LIMIT $3::integer
), ended AS (
    SELECT t.id, t.message_ids FROM page p JOIN majlis_turns t USING (id)
    WHERE p.old AND t.state IN ('done', 'suppressed', 'moved', 'superseded')
      AND coalesce(t.finished_at, t.created_at) < now() - $2::integer * interval '1 day'
      AND NOT EXISTS (SELECT FROM majlis_open_turns o WHERE o.turn_id = t.id)
      AND NOT EXISTS (SELECT FROM majlis_outbox o WHERE o.turn_id = t.id AND o.state IN ('pending', 'sending', 'unknown'))
      AND NOT EXISTS (SELECT FROM majlis_dead_letters d WHERE d.turn_id = t.id AND d.retried_at IS NULL)
    FOR UPDATE OF t SKIP LOCKED
), theirs AS (
    SELECT id, unnest(message_ids) AS message_id FROM ended
), heard AS (
    DELETE FROM majlis_heard h USING theirs t WHERE h.message_id = t.message_id AND h.turn_id = t.id
), heard_again AS (
    DELETE FROM majlis_heard_again h USING theirs t WHERE h.message_id = t.message_id AND h.turn_id = t.id
), parts AS (
    DELETE FROM majlis_outbox o USING ended e WHERE o.turn_id = e.id
), letters AS (
    DELETE FROM majlis_dead_letters d USING ended e WHERE d.turn_id = e.id
), shadows AS (
    DELETE FROM majlis_shadow_turns s USING ended e WHERE s.turn_id = e.id
), gone AS (
    DELETE FROM majlis_turns t USING ended e WHERE t.id = e.id RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, max(id) AS last, coalesce(bool_or(old), false) AS old FROM page

-- old_audit --
-- Deletes $1 entries that are more than $2 days old.
WITH old AS (
    SELECT id FROM majlis_audit WHERE at < now() - $2::integer * interval '1 day' ORDER BY at LIMIT $1::integer
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM majlis_audit a USING old WHERE a.id = old.id RETURNING 1
)
SELECT count(*) FROM gone

-- shared_blocks --
-- How long the shared table $1 is, in blocks. No row: it is no plain table, and is not ours to delete from.
SELECT pg_relation_size(c.oid) / current_setting('block_size')::integer AS blocks
FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind = 'r'

-- old_shared --
-- Deletes the rows of a shared table that lie from block $1 up to block $2 and are more than $3 days old. By their place:
-- so a statement reads no more than that, whatever indexes the table has. {table} is one of a few names.
WITH old AS MATERIALIZED (
    SELECT ctid FROM {table}
    WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
      AND created_at < now() - $3::integer * interval '1 day'
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT count(*) FROM gone

-- sizes --
-- What each table takes, with its indexes, and how much more a day by what was measured in the last eight days. $1: whether
-- to note today's measure, $2: the shared tables.
WITH now_taken AS MATERIALIZED (
    SELECT c.relname::text AS name, pg_total_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0)::bigint AS rows
    FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
      AND (c.relname LIKE 'majlis\_%' OR c.relname = ANY ($2::text[]))
), noted AS (
    INSERT INTO majlis_sizes (day, name, bytes)
    SELECT (now() AT TIME ZONE 'UTC')::date, name, bytes FROM now_taken WHERE $1::boolean
    ON CONFLICT DO NOTHING
), old AS (
    DELETE FROM majlis_sizes WHERE $1::boolean AND day < (now() AT TIME ZONE 'UTC')::date - 400
)
SELECT t.name, t.bytes, t.rows,
       ((t.bytes - s.bytes) / extract(epoch FROM now() - s.at) * 86400)::bigint AS bytes_a_day
FROM now_taken t LEFT JOIN LATERAL (
    SELECT bytes, at FROM majlis_sizes
    WHERE name = t.name AND at BETWEEN now() - interval '8 days' AND now() - interval '6 hours'
    ORDER BY day LIMIT 1) s ON true
ORDER BY t.bytes DESC, t.name
