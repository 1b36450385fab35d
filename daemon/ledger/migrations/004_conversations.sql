-- Finding, creating and joining conversations, for the first step of a turn (005).
--
-- Variables for shared columns are declared with %TYPE, so that the same code works with bigint and uuid ids and every
-- comparison uses the column's own type and index. Functions pass ids to each other as text.

-- The spellings in which other software may have stored a phone number. A LID has only one.
CREATE OR REPLACE FUNCTION majlis_spellings(p_contact text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_contact ~ '^[0-9]+$'
                THEN ARRAY[p_contact, '+' || p_contact, p_contact || '@s.whatsapp.net']
                ELSE ARRAY[p_contact] END
$$;

-- Held until the end of the transaction, so that two daemons or tasks never create the same conversation twice.
CREATE OR REPLACE FUNCTION majlis_lock_contact(p_instance text, p_contact text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('majlis contact ' || p_instance || '/' || p_contact, 0))
$$;

-- The rule by which this instance is not answered; empty if it is. An instance whose AI configurations are all switched
-- off is inactive as well; one without any is active.
CREATE OR REPLACE FUNCTION majlis_instance_rule(p_instance text, OUT rule text, OUT instance_id text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_id whatsapp_instances.id%TYPE;
    v_config_instance whatsapp_ai_config.whatsapp_instance_id%TYPE;
    v_active boolean;
    v_ai_active boolean;
BEGIN
    SELECT i.id, coalesce(i.is_active, true) INTO v_id, v_active
    FROM whatsapp_instances i WHERE i.instance_name = p_instance
    ORDER BY i.is_active DESC NULLS LAST, i.id LIMIT 1;
    IF NOT FOUND THEN
        rule := 'unknown_instance';
        RETURN;
    END IF;
    instance_id := v_id::text;
    v_config_instance := instance_id;
    SELECT bool_or(coalesce(c.is_active, true)) INTO v_ai_active
    FROM whatsapp_ai_config c WHERE c.whatsapp_instance_id = v_config_instance;
    rule := CASE WHEN v_active AND coalesce(v_ai_active, true) THEN '' ELSE 'inactive_instance' END;
END $$;

-- The newest conversation with this contact, of any status. An inactive one becomes active; if there is none, one is created.
CREATE OR REPLACE FUNCTION majlis_find_conversation(p_instance_id text, p_contact text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_conversations.instance_id%TYPE := p_instance_id;
    v_id whatsapp_conversations.id%TYPE;
    v_spellings text[] := majlis_spellings(p_contact);
BEGIN
    SELECT id INTO v_id FROM whatsapp_conversations
    WHERE instance_id = v_instance AND user_phone = ANY (v_spellings)
    ORDER BY last_activity DESC NULLS LAST, id DESC LIMIT 1;
    IF NOT FOUND THEN
        INSERT INTO whatsapp_conversations (instance_id, user_phone, status, last_activity)
        VALUES (v_instance, p_contact, 'active', now())
        RETURNING id INTO v_id;
        RETURN v_id::text;
    END IF;
    UPDATE whatsapp_conversations
    SET status = 'active',
        conversation_data = coalesce(conversation_data::jsonb, '{}')
            || jsonb_build_object('context', coalesce(conversation_data::jsonb -> 'context', '{}')
                                             || '{"reactivated": true}')
    WHERE id = v_id AND status = 'inactive';
    UPDATE whatsapp_conversations SET last_activity = now() WHERE id = v_id;
    RETURN v_id::text;
END $$;

-- Moves what was said under a LID to its phone number. If the phone number has no conversation yet, the LID's becomes it.
-- Otherwise its messages and turns move over, and the empty conversation stays behind, inactive.
CREATE OR REPLACE FUNCTION majlis_join_conversations(p_instance_id text, p_lid text, p_phone text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_instance whatsapp_conversations.instance_id%TYPE := p_instance_id;
    v_from whatsapp_conversations.id%TYPE;
    v_to whatsapp_conversations.id%TYPE;
BEGIN
    SELECT id INTO v_to FROM whatsapp_conversations
    WHERE instance_id = v_instance AND user_phone = ANY (majlis_spellings(p_phone))
    ORDER BY last_activity DESC NULLS LAST, id DESC LIMIT 1;
    FOR v_from IN
        SELECT id FROM whatsapp_conversations WHERE instance_id = v_instance AND user_phone = p_lid
        ORDER BY last_activity DESC NULLS LAST, id DESC
    LOOP
        IF v_to IS NULL THEN
            UPDATE whatsapp_conversations SET user_phone = p_phone WHERE id = v_from;
            v_to := v_from;
        ELSE
            UPDATE whatsapp_messages m SET conversation_id = v_to
            WHERE m.conversation_id = v_from
              AND NOT EXISTS (SELECT FROM whatsapp_messages k
                              WHERE k.conversation_id = v_to AND k.message_id = m.message_id);
            UPDATE whatsapp_conversations SET status = 'inactive' WHERE id = v_from;
            UPDATE majlis_turns SET conversation_id = v_to::text WHERE conversation_id = v_from::text;
        END IF;
    END LOOP;
END $$;

-- Stores which phone number is behind a LID; the latest report of the gateway wins. The phone number is locked first, here
-- as in a turn of its conversation: one order for all, so that there is no deadlock.
CREATE OR REPLACE FUNCTION majlis_link(p_instance text, p_lid text, p_phone text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM majlis_lock_contact(p_instance, p_phone);
    PERFORM majlis_lock_contact(p_instance, p_lid);
    INSERT INTO majlis_identities AS known (instance, lid, phone) VALUES (p_instance, p_lid, p_phone)
    ON CONFLICT (instance, lid) DO UPDATE SET phone = excluded.phone WHERE known.phone <> excluded.phone;
    IF FOUND THEN
        PERFORM majlis_join_conversations(
            (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r), p_lid, p_phone);
    END IF;
END $$;

-- The messages of a replayed dead letter have ids `dead-<dead letter>-<id>`, which contain the id of the original.
CREATE OR REPLACE FUNCTION majlis_original_id(p_message_id text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(p_message_id, '^(dead-[0-9]+-)+', '')
$$;

-- One row per inbound message, in the order the responder sees them, each once even if the turn is retried.
CREATE OR REPLACE FUNCTION majlis_store_messages(p_conversation_id text, p_messages jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
BEGIN
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT v_conversation, 'user', m.value ->> 'text', majlis_original_id(m.value ->> 'id'),
           now() + (m.ordinality - 1) * interval '1 microsecond'
    FROM jsonb_array_elements(p_messages) WITH ORDINALITY AS m (value, ordinality)
    WHERE NOT EXISTS (SELECT FROM whatsapp_messages k
                      WHERE k.conversation_id = v_conversation
                        AND k.message_id = majlis_original_id(m.value ->> 'id'))
    ORDER BY m.ordinality
    ON CONFLICT DO NOTHING;
END $$;
