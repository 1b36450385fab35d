-- The lookups of a turn that read shared tables. Variables are declared with %TYPE, so that every comparison uses the
-- column's own type and index. The other lookups are plain statements in `daemon/lookups/`. Each is one call. Of two rows
-- of the same age the one written last counts, by ctid, because the tables of settings need not have an id.

-- The instance and its AI configuration, with the values as they are stored: existing columns may have other types than
-- ours, so the reader interprets them.
CREATE OR REPLACE FUNCTION majlis_instance_record(p_instance text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_rule text;
    v_instance_id text;
    v_id whatsapp_instances.id%TYPE;
    v_config_instance whatsapp_ai_config.whatsapp_instance_id%TYPE;
BEGIN
    SELECT r.rule, r.instance_id INTO v_rule, v_instance_id FROM majlis_instance_rule(p_instance) r;
    v_id := v_instance_id;
    v_config_instance := v_instance_id;
    RETURN jsonb_build_object('rule', v_rule)
        || coalesce((
            SELECT jsonb_build_object(
                'escalation_enabled', i.escalation_enabled, 'escalation_threshold', i.escalation_threshold,
                'escalation_keywords', to_jsonb(i.escalation_keywords), 'escalated_message', i.escalated_message,
                'fallback_message', i.fallback_message)
            FROM whatsapp_instances i WHERE i.id = v_id), '{}')
        || coalesce((
            SELECT jsonb_build_object('system_prompt', c.system_prompt)
            FROM whatsapp_ai_config c
            WHERE c.whatsapp_instance_id = v_config_instance AND coalesce(c.is_active, true)
            ORDER BY c.created_at DESC NULLS LAST, c.ctid DESC LIMIT 1), '{}')
        || coalesce((
            SELECT jsonb_build_object('knowledge_files', k.files, 'knowledge_version', k.version)
            FROM majlis_knowledge_versions k WHERE k.instance = p_instance), '{}');
END $$;

-- The newest address stored for the instance's own webhook.
CREATE OR REPLACE FUNCTION majlis_webhook(p_instance text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_webhook_config.whatsapp_instance_id%TYPE;
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN (
        SELECT w.webhook_url::text FROM whatsapp_webhook_config w
        WHERE w.whatsapp_instance_id = v_instance AND w.webhook_url::text <> ''
        ORDER BY w.created_at DESC NULLS LAST, w.ctid DESC LIMIT 1);
END $$;

-- When a person last handed this conversation back: an escalation was resolved, or a take-over ended.
CREATE OR REPLACE FUNCTION majlis_handed_back_at(p_instance text, p_contact text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_instance, p_contact);
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN greatest(
        (SELECT max(e.resolved_at) FROM whatsapp_escalated_conversations e
         WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (v_names)),
        (SELECT max(coalesce(t.ended_at, t.until)) FROM majlis_takeovers t
         WHERE t.instance = p_instance AND t.contact = ANY (v_names) AND coalesce(t.ended_at, t.until) <= now()));
END $$;

-- Who speaks in this conversation. An escalation without a time counts as infinitely old. One that is old enough to end
-- now counts as handed back.
CREATE OR REPLACE FUNCTION majlis_standing(
    p_instance text, p_contact text, p_conversation_key text, p_hand_back_seconds double precision,
    p_heed_takeover boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_taken_over boolean := p_heed_takeover AND majlis_is_taken_over(p_instance, p_contact);
    v_escalated boolean;
    v_escalated_at timestamptz;
    v_expired boolean;
    v_answered_at timestamptz;
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    SELECT count(*) > 0, max(e.escalated_at) INTO v_escalated, v_escalated_at
    FROM whatsapp_escalated_conversations e
    WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (majlis_names(p_instance, p_contact))
      AND e.resolved_at IS NULL;
    v_expired := v_escalated
        AND coalesce(extract(epoch FROM now() - v_escalated_at) >= p_hand_back_seconds, true);

    SELECT t.answered_at INTO v_answered_at
    FROM majlis_turns t
    WHERE t.conversation_key = p_conversation_key AND t.rule = '' AND t.answered_at IS NOT NULL
    ORDER BY t.answered_at DESC LIMIT 1;

    RETURN jsonb_build_object(
        'taken_over', v_taken_over, 'escalated', v_escalated, 'escalation_expired', v_expired,
        'handed_back', NOT v_taken_over AND (v_expired OR NOT v_escalated AND coalesce(
            majlis_handed_back_at(p_instance, p_contact) > coalesce(v_answered_at, '-infinity'), false)));
END $$;

-- The newest interactions with this contact, under every spelling of its number, newest first, since a person last
-- handed the conversation back: earlier ones are context, and no reason to escalate again. `metadata` is returned as text:
-- in an existing table it may be jsonb, json or text, with any content.
CREATE OR REPLACE FUNCTION majlis_interactions(p_instance text, p_contact text, p_limit integer)
RETURNS TABLE (said text, metadata text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_ai_interactions.whatsapp_instance_id%TYPE;
    v_since timestamptz := coalesce(majlis_handed_back_at(p_instance, p_contact), '-infinity');
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN QUERY
        SELECT newest.user_message::text, newest.metadata::text
        FROM unnest(majlis_names(p_instance, p_contact)) AS spelling
        CROSS JOIN LATERAL (
            SELECT x.user_message, x.metadata, x.created_at FROM whatsapp_ai_interactions x
            WHERE x.whatsapp_instance_id = v_instance AND x.user_phone = spelling AND x.created_at > v_since
            ORDER BY x.created_at DESC LIMIT p_limit) AS newest
        ORDER BY newest.created_at DESC LIMIT p_limit;
END $$;

-- The usage of the rate limits in the last minute: answers begun by other turns, for the contact and for the instance. If
-- there is room, this turn takes its place in the same step, so that no two turns take the last place. A retried turn
-- keeps its place.
CREATE OR REPLACE FUNCTION majlis_take_place(
    p_turn bigint, p_instance text, p_conversation_key text, p_contact_limit bigint, p_instance_limit bigint,
    OUT contact_turns bigint, OUT contact_oldest timestamptz, OUT instance_turns bigint,
    OUT instance_oldest timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('majlis places ' || p_instance, 0));
    DELETE FROM majlis_places WHERE instance = p_instance AND at <= now() - interval '1 minute';
    SELECT count(*) FILTER (WHERE conversation_key = p_conversation_key),
           min(at) FILTER (WHERE conversation_key = p_conversation_key), count(*), min(at)
    INTO contact_turns, contact_oldest, instance_turns, instance_oldest
    FROM majlis_places WHERE instance = p_instance AND turn_id <> p_turn;
    IF contact_turns < coalesce(p_contact_limit, contact_turns + 1)
        AND instance_turns < coalesce(p_instance_limit, instance_turns + 1) THEN
        INSERT INTO majlis_places (turn_id, instance, conversation_key) VALUES (p_turn, p_instance, p_conversation_key)
        ON CONFLICT (turn_id) DO NOTHING;
    END IF;
END $$;
