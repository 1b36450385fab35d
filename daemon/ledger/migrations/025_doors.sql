-- Which of the shared tables Majlis made. Those are closed to the platform's API like its own; a table that was there before
-- belongs to the business' own software and is closed only when somebody asks for it (daemon/ledger/closing.py).
--
-- A new database records it in 001, before the tables are made. In one that was migrated by an older version nobody did, so
-- a table counts as made by Majlis only if nothing about it says otherwise: the columns that the migrations make, in their
-- order, with their types and defaults, none more, none dropped; no key, check, trigger, policy or index besides ours; the
-- owner of Majlis' own tables. Whatever differs counts as having been there before.

CREATE TABLE IF NOT EXISTS majlis_own_tables (name text PRIMARY KEY, ours boolean NOT NULL);

INSERT INTO majlis_own_tables (name, ours)
SELECT made.name,
       c.relkind = 'r' AND NOT c.relrowsecurity
       AND c.relowner = (SELECT relowner FROM pg_class WHERE oid = 'majlis_turns'::regclass)
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype NOT IN ('p', 'n'))
       AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)
       AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)
       AND NOT EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
       AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                       WHERE i.indrelid = c.oid AND NOT i.indisprimary AND x.relname NOT LIKE 'majlis\_%')
       AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND attisdropped)
       AND made.columns = (
           SELECT array_agg(concat_ws(' ', a.attname,
                                      CASE WHEN a.atttypid = (
                                               SELECT id.atttypid FROM pg_attribute id
                                               WHERE id.attname = 'id' AND id.attrelid = CASE
                                                   WHEN a.attname IN ('instance_id', 'whatsapp_instance_id')
                                                   THEN 'whatsapp_instances'::regclass
                                                   WHEN a.attname = 'conversation_id'
                                                   THEN 'whatsapp_conversations'::regclass END)
                                           THEN 'reference' ELSE format_type(a.atttypid, a.atttypmod) END,
                                      pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
           FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = c.oid AND a.attnum > 0)
       AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'id' AND attidentity = 'd')
FROM (VALUES
    ('whatsapp_instances', ARRAY[
        'id bigint', 'instance_name text', 'is_active boolean true', 'escalation_enabled boolean false',
        'escalation_threshold integer 3', 'escalation_keywords text[]', 'escalated_message text',
        'created_at timestamp with time zone now()', 'fallback_message text']),
    ('whatsapp_conversations', ARRAY[
        'id bigint', 'instance_id reference', 'user_phone text', 'status text ''active''::text',
        'last_activity timestamp with time zone now()', 'conversation_data jsonb ''{}''::jsonb',
        'created_at timestamp with time zone now()']),
    ('whatsapp_messages', ARRAY[
        'id bigint', 'conversation_id reference', 'sender_type text', 'content text', 'message_id text',
        'created_at timestamp with time zone now()']),
    ('whatsapp_webhook_config', ARRAY[
        'id bigint', 'whatsapp_instance_id reference', 'webhook_url text',
        'created_at timestamp with time zone now()']),
    ('whatsapp_ai_config', ARRAY[
        'id bigint', 'whatsapp_instance_id reference', 'is_active boolean true',
        'created_at timestamp with time zone now()', 'system_prompt text']),
    ('whatsapp_ai_interactions', ARRAY[
        'id bigint', 'whatsapp_instance_id reference', 'user_phone text', 'user_message text',
        'metadata jsonb ''{}''::jsonb', 'created_at timestamp with time zone now()']),
    ('whatsapp_escalated_conversations', ARRAY[
        'id bigint', 'whatsapp_instance_id reference', 'user_phone text', 'reason text',
        'escalated_at timestamp with time zone now()', 'resolved_at timestamp with time zone', 'resolved_by text'])
) AS made (name, columns)
JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', current_schema(), made.name))
ON CONFLICT DO NOTHING;
