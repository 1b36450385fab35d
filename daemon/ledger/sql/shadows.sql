-- shadow_turns --
-- Turns of an instance that were heard in mode shadow and have ended, newest first, with what others wrote for the business
-- from when the customer wrote until he wrote again. $1: the instance, $2: limit.
SELECT t.id, t.conversation_key, t.state, t.rule, t.text, coalesce(t.answer, '') AS answer,
       coalesce(t.provider, '') AS provider, coalesce(t.model, '') AS model, t.cost_micros, began.at AS began_at,
       extract(epoch FROM t.answered_at - began.at)::double precision AS seconds,
       coalesce((
           SELECT jsonb_agg(jsonb_build_object('text', o.text, 'sender', o.sender, 'at', o.at, 'seconds', greatest(
                      0, extract(epoch FROM o.at - began.at))) ORDER BY o.at, o.message_id)
           FROM (SELECT * FROM majlis_overheard h
                 WHERE h.instance = t.instance AND h.contact = ANY (majlis_names(t.instance, t.contact))
                   AND h.at >= began.at AND (next.at IS NULL OR h.at < next.at)
                 ORDER BY h.at, h.message_id LIMIT 20) o), '[]') AS replies
FROM majlis_shadow_turns s JOIN majlis_turns t ON t.id = s.turn_id
CROSS JOIN LATERAL (SELECT majlis_heard_before(t.id) AS at) began
LEFT JOIN LATERAL (
    SELECT coalesce(majlis_heard_before(n.id), n.opened_at) AS at FROM majlis_turns n
    WHERE n.conversation_key = t.conversation_key AND n.batch_number > t.batch_number AND n.rule <> 'duplicate'
    ORDER BY n.batch_number LIMIT 1) next ON true
WHERE s.instance = $1 AND t.finished_at IS NOT NULL AND t.state NOT IN ('moved', 'superseded') AND t.rule <> 'duplicate'
ORDER BY s.turn_id DESC LIMIT $2
