-- Why Majlis is silent in a conversation, for operators. Both are NULL if it is not.
-- An escalation without a time, or older than `p_hand_back_seconds`, ends with the next message.

CREATE OR REPLACE FUNCTION majlis_silence(p_instance text, p_contact text, p_hand_back_seconds double precision)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN jsonb_build_object(
        'taken_over', (
            SELECT jsonb_build_object('since', t.started_at, 'until', t.until)
            FROM majlis_takeovers t
            WHERE t.instance = p_instance AND t.ended_at IS NULL AND t.until > now()
              AND t.contact IN (SELECT p_contact UNION ALL
                                SELECT i.lid FROM majlis_identities i
                                WHERE i.instance = p_instance AND i.phone = p_contact)
            ORDER BY t.until DESC LIMIT 1),
        'escalated', (
            SELECT jsonb_build_object('since', e.escalated_at::timestamptz, 'why', coalesce(e.reason::text, ''))
            FROM whatsapp_escalated_conversations e
            WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (majlis_names(p_instance, p_contact))
              AND e.resolved_at IS NULL AND e.escalated_at > now() - p_hand_back_seconds * interval '1 second'
            ORDER BY e.escalated_at DESC LIMIT 1));
END $$;
