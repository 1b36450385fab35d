-- What is set for an instance, in versions: each holds the complete state, so that going back needs no replay.
--
-- The state is read from where it is in force: majlis_settings, majlis_flags, and the columns of the shared tables that other
-- software writes as well. Whoever finds that the state is not that of the last version any more makes a version of it, so that
-- changes made in SQL have versions too. No trigger and no LISTEN: a poll compares marks of the rows (majlis_instance_marks).

CREATE TABLE IF NOT EXISTS majlis_instance_versions (
    instance text NOT NULL CHECK (length(instance) <= 1000),
    version  bigint NOT NULL CHECK (version > 0),
    made_at  timestamptz NOT NULL DEFAULT now(),
    made_by  text NOT NULL CHECK (length(made_by) <= 200),  -- as an operator is named elsewhere, or SQL
    what     text NOT NULL,  -- add | change | restore | remove
    why      text NOT NULL DEFAULT '' CHECK (length(why) <= 1000),
    state    jsonb NOT NULL,
    PRIMARY KEY (instance, version)
);

-- The last version of each. `mark`: a digest of its state. `removed`: Majlis took the instance out of use; its rows stay, for
-- what was said belongs to them.
CREATE TABLE IF NOT EXISTS majlis_instance_heads (
    instance text PRIMARY KEY,
    version  bigint NOT NULL,
    mark     text NOT NULL,
    there    boolean NOT NULL,
    removed  boolean NOT NULL
);

-- Secrets of instances: a later migration fills these two in. Of a secret, a version holds only that it is there, and a word
-- that is another one after each change.
CREATE OR REPLACE FUNCTION majlis_secret_words(p_instance text) RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT '{}'::jsonb $$;

CREATE OR REPLACE FUNCTION majlis_keep_secrets(p_instance text, p_set jsonb, p_unset jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_set <> '{}' THEN
        RAISE EXCEPTION 'no place for secrets' USING ERRCODE = 'MJ037';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION majlis_lock_instance(p_instance text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('majlis instance ' || p_instance, 0))
$$;

CREATE OR REPLACE FUNCTION majlis_bucket(p_name text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtext(p_name) & 1023
$$;

-- Removed, and nobody has switched it on since.
CREATE OR REPLACE FUNCTION majlis_is_removed(p_instance text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM majlis_instance_heads h WHERE h.instance = p_instance AND h.removed)
       AND NOT EXISTS (SELECT FROM whatsapp_instances i WHERE i.instance_name = p_instance AND coalesce(i.is_active, true))
$$;

-- The very rows that majlis_instance_rule, majlis_instance_record and majlis_webhook read. If all AI configurations are
-- switched off, the newest: none is read then.
CREATE OR REPLACE FUNCTION majlis_instance_rows(
    p_instance text, OUT instance_row tid, OUT instance_id text, OUT config_row tid, OUT webhook_row tid)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_config_instance whatsapp_ai_config.whatsapp_instance_id%TYPE;
    v_webhook_instance whatsapp_webhook_config.whatsapp_instance_id%TYPE;
BEGIN
    SELECT i.ctid, i.id::text INTO instance_row, instance_id
    FROM whatsapp_instances i WHERE i.instance_name = p_instance
    ORDER BY i.is_active DESC NULLS LAST, i.id LIMIT 1;
    v_config_instance := instance_id;
    v_webhook_instance := instance_id;
    config_row := (
        SELECT c.ctid FROM whatsapp_ai_config c WHERE c.whatsapp_instance_id = v_config_instance
        ORDER BY coalesce(c.is_active, true) DESC, c.created_at DESC NULLS LAST, c.ctid DESC LIMIT 1);
    webhook_row := (
        SELECT w.ctid FROM whatsapp_webhook_config w WHERE w.whatsapp_instance_id = v_webhook_instance
        ORDER BY (w.webhook_url::text <> '') IS TRUE DESC, w.created_at DESC NULLS LAST, w.ctid DESC LIMIT 1);
END $$;

-- All that is set for an instance, with the values as they are stored. `there`: it exists and was not removed. `row`: the id of
-- the row that is read. `columns` holds what is not null; `configs`: false when all its AI configurations are switched off.
CREATE OR REPLACE FUNCTION majlis_instance_state(p_instance text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v record;
    v_config_instance whatsapp_ai_config.whatsapp_instance_id%TYPE;
BEGIN
    SELECT * INTO v FROM majlis_instance_rows(p_instance);
    v_config_instance := v.instance_id;
    RETURN jsonb_build_object(
        'there', v.instance_id IS NOT NULL AND NOT majlis_is_removed(p_instance),
        'row', coalesce(v.instance_id, ''),
        'columns', (
            SELECT coalesce(jsonb_object_agg(k.key, k.value) FILTER (WHERE k.value IS NOT NULL AND k.value <> 'null'), '{}')
            FROM (
                SELECT x.key, x.value
                FROM whatsapp_instances i CROSS JOIN LATERAL (VALUES
                    ('active', to_jsonb(i.is_active)), ('escalation.enabled', to_jsonb(i.escalation_enabled)),
                    ('escalation.threshold', to_jsonb(i.escalation_threshold)),
                    ('escalation.keywords', to_jsonb(i.escalation_keywords)),
                    ('escalation.message', to_jsonb(i.escalated_message)),
                    ('responder.fallback_message', to_jsonb(i.fallback_message))) AS x (key, value)
                WHERE i.ctid = v.instance_row
                UNION ALL
                SELECT 'prompt', to_jsonb(c.system_prompt) FROM whatsapp_ai_config c WHERE c.ctid = v.config_row
                UNION ALL
                SELECT 'webhook_url', to_jsonb(nullif(w.webhook_url::text, ''))
                FROM whatsapp_webhook_config w WHERE w.ctid = v.webhook_row
                UNION ALL
                SELECT 'configs', 'false' FROM whatsapp_ai_config c WHERE c.whatsapp_instance_id = v_config_instance
                HAVING NOT bool_or(coalesce(c.is_active, true))) AS k),
        'settings', (SELECT coalesce(jsonb_object_agg(s.key, s.value), '{}') FROM majlis_settings s
                     WHERE s.scope = 'instance:' || p_instance),
        'flags', (SELECT coalesce(jsonb_object_agg(f.flag, f.value), '{}') FROM majlis_flags f
                  WHERE f.scope = 'instance:' || p_instance),
        'secrets', majlis_secret_words(p_instance));
END $$;

-- The version of the state as it is now: the last one, or a new one if something has changed since. The newest thousand of each
-- instance are kept. Every table is asked by a key here; plans made while the tables were small must not read them whole.
CREATE OR REPLACE FUNCTION majlis_note_version(p_instance text, p_by text, p_why text, p_what text) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    v_state jsonb;
    v_mark text;
    v_head majlis_instance_heads;
BEGIN
    FOR v_round IN 1 .. 2 LOOP
        v_state := majlis_instance_state(p_instance);
        v_mark := md5((v_state - 'row')::text);
        SELECT * INTO v_head FROM majlis_instance_heads h WHERE h.instance = p_instance;
        IF v_head.mark = v_mark AND p_what = 'change' THEN
            RETURN v_head.version;
        END IF;
        IF v_round = 1 THEN  -- whoever waits here compares again: another daemon may have made this version
            PERFORM majlis_lock_instance(p_instance);
        END IF;
    END LOOP;
    v_head.version := coalesce(v_head.version, 0) + 1;
    v_head.removed := p_what = 'remove'
        OR p_what = 'change' AND coalesce(v_head.removed, false) AND NOT (v_state ->> 'there')::boolean;
    IF p_what <> 'change' THEN  -- whether it is there depends on it
        UPDATE majlis_instance_heads SET removed = v_head.removed WHERE instance = p_instance;
        v_state := majlis_instance_state(p_instance);
    END IF;
    INSERT INTO majlis_instance_heads AS h (instance, version, mark, there, removed)
    VALUES (p_instance, v_head.version, md5((v_state - 'row')::text), (v_state ->> 'there')::boolean, v_head.removed)
    ON CONFLICT (instance) DO UPDATE
    SET version = excluded.version, mark = excluded.mark, there = excluded.there, removed = excluded.removed;
    INSERT INTO majlis_instance_versions (instance, version, made_by, what, why, state)
    VALUES (p_instance, v_head.version, p_by, CASE v_head.version WHEN 1 THEN 'add' ELSE p_what END, p_why, v_state);
    IF v_head.version > 1000 THEN
        DELETE FROM majlis_instance_versions WHERE instance = p_instance AND version <= v_head.version - 1000;
    END IF;
    RETURN v_head.version;
END $$;

-- How a value is written in a column, whatever the type of that: as the text that its input function takes. A list in a
-- column of text stays spelled as it was (a, b or {a,b}), unless a word has a sign that separates words there: then as JSON.
CREATE OR REPLACE FUNCTION majlis_column_text(p_table regclass, p_column text, p_old text, p_value jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_kind text;
    v_type text;
    v_plain text := p_value #>> '{}';
BEGIN
    SELECT t.typcategory, t.typname INTO v_kind, v_type
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = p_table AND a.attname = p_column AND NOT a.attisdropped;
    RETURN CASE
        WHEN p_value IS NULL OR p_value = 'null' THEN NULL
        WHEN v_type IN ('json', 'jsonb') THEN p_value::text
        WHEN jsonb_typeof(p_value) = 'array' AND v_kind = 'A'
            THEN ARRAY(SELECT word FROM jsonb_array_elements_text(p_value) WITH ORDINALITY AS w (word, place)
                       ORDER BY place)::text
        WHEN jsonb_typeof(p_value) = 'array' AND left(ltrim(coalesce(p_old, '[')), 1) <> '['
             AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(p_value) AS word WHERE word ~ E'[,،;؛\n{}"]')
            THEN (SELECT CASE left(ltrim(p_old), 1) WHEN '{' THEN array_agg(word ORDER BY place)::text
                                                    ELSE string_agg(word, ', ' ORDER BY place) END
                  FROM jsonb_array_elements_text(p_value) WITH ORDINALITY AS w (word, place))
        WHEN v_kind = 'A' THEN ARRAY[v_plain]::text
        WHEN v_kind = 'N' AND jsonb_typeof(p_value) = 'boolean' THEN CASE v_plain WHEN 'true' THEN '1' ELSE '0' END
        ELSE v_plain
    END;
END $$;

-- Writes one column of one row; gives back where the row is now. MJ039: the row was not to be had, because it changed at this
-- moment, or because a policy or a trigger keeps it.
CREATE OR REPLACE FUNCTION majlis_write_column(p_table regclass, p_column text, p_row tid, p_value jsonb) RETURNS tid
LANGUAGE plpgsql AS $$
DECLARE
    v_old text;
    v_new tid;
BEGIN
    EXECUTE format('SELECT %I::text FROM %s WHERE ctid = $1', p_column, p_table) INTO v_old USING p_row;
    EXECUTE format('UPDATE %s SET %I = %s WHERE ctid = $1 RETURNING ctid', p_table, p_column,
                   quote_nullable(majlis_column_text(p_table, p_column, v_old, p_value)))
    INTO v_new USING p_row;
    IF v_new IS NULL THEN
        RAISE EXCEPTION 'no row of %', p_table USING ERRCODE = 'MJ039', TABLE = p_table::text;
    END IF;
    RETURN v_new;
END $$;

-- Writes one value of an instance where it is read. Of rows that are as old as each other the last one written is read, by its
-- place in the table, so after a write another may be: then that one is written as well.
CREATE OR REPLACE FUNCTION majlis_write_value(p_instance text, p_key text, p_value jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v record;
    v_row tid;
    v_written tid;
    v_table regclass := CASE p_key WHEN 'prompt' THEN 'whatsapp_ai_config' WHEN 'webhook_url' THEN 'whatsapp_webhook_config'
                                   WHEN 'configs' THEN 'whatsapp_ai_config' ELSE 'whatsapp_instances' END;
    v_column text := CASE p_key WHEN 'prompt' THEN 'system_prompt' WHEN 'webhook_url' THEN 'webhook_url'
                                WHEN 'configs' THEN 'is_active' WHEN 'active' THEN 'is_active'
                                WHEN 'escalation.enabled' THEN 'escalation_enabled'
                                WHEN 'escalation.threshold' THEN 'escalation_threshold'
                                WHEN 'escalation.keywords' THEN 'escalation_keywords'
                                WHEN 'escalation.message' THEN 'escalated_message'
                                WHEN 'responder.fallback_message' THEN 'fallback_message' END;
BEGIN
    SELECT * INTO v FROM majlis_instance_rows(p_instance);
    IF v_table <> 'whatsapp_instances'::regclass AND p_value <> 'null'
        AND (CASE WHEN v_column = 'webhook_url' THEN v.webhook_row ELSE v.config_row END) IS NULL THEN
        EXECUTE format('INSERT INTO %s (whatsapp_instance_id, %I) VALUES (%L, %s)', v_table, v_column, v.instance_id,
                       quote_nullable(majlis_column_text(v_table, v_column, '[', p_value)));
        RETURN;
    END IF;
    IF p_key IN ('active', 'configs') AND p_value = 'false' THEN  -- else another row would be read instead, and be active
        FOR v_row IN
            SELECT i.ctid FROM whatsapp_instances i
            WHERE p_key = 'active' AND i.instance_name = p_instance AND coalesce(i.is_active, true)
            UNION ALL
            SELECT c.ctid FROM whatsapp_ai_config c
            WHERE p_key = 'configs' AND c.whatsapp_instance_id::text = v.instance_id AND coalesce(c.is_active, true)
        LOOP
            PERFORM majlis_write_column(v_table, v_column, v_row, p_value);
        END LOOP;
        RETURN;
    END IF;
    IF p_key = 'active' THEN  -- of several rows of this name, the one that was read when it was last active
        v_row := (SELECT i.ctid FROM whatsapp_instances i WHERE i.instance_name = p_instance AND i.id::text = (
            SELECT s.state ->> 'row' FROM majlis_instance_versions s
            WHERE s.instance = p_instance AND s.state -> 'columns' -> 'active' IS DISTINCT FROM 'false'
            ORDER BY s.version DESC LIMIT 1) LIMIT 1);
        PERFORM majlis_write_column(v_table, v_column, coalesce(v_row, v.instance_row), p_value);
        RETURN;
    END IF;
    FOR v_round IN 1 .. 50 LOOP
        SELECT CASE WHEN v_column = 'webhook_url' THEN r.webhook_row WHEN v_table = 'whatsapp_ai_config'::regclass
                    THEN r.config_row ELSE r.instance_row END
        INTO v_row FROM majlis_instance_rows(p_instance) r;
        EXIT WHEN v_row IS NULL OR v_row = v_written;
        v_written := majlis_write_column(v_table, v_column, v_row, p_value);
    END LOOP;
END $$;

-- Changes an instance, all of it or nothing, and makes a version of it. MJ038: somebody changed it since `p_expected`.
-- p_set, p_unset: {"settings", "flags", "columns", "secrets"}; a column is unset by the value null.
CREATE OR REPLACE FUNCTION majlis_change_instance(
    p_instance text, p_expected bigint, p_set jsonb, p_unset jsonb, p_by text, p_why text, p_what text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_scope text := 'instance:' || p_instance;
    v record;
BEGIN
    PERFORM majlis_lock_instance(p_instance);
    IF p_expected > 0 AND majlis_note_version(p_instance, 'SQL', '', 'change') <> p_expected
        OR p_expected = 0 AND (majlis_instance_state(p_instance) ->> 'there')::boolean THEN
        RAISE EXCEPTION 'changed meanwhile' USING ERRCODE = 'MJ038';
    END IF;
    IF p_what = 'add' AND NOT EXISTS (SELECT FROM whatsapp_instances i WHERE i.instance_name = p_instance) THEN
        INSERT INTO whatsapp_instances (instance_name) VALUES (p_instance);
    END IF;
    DELETE FROM majlis_settings s WHERE s.scope = v_scope AND coalesce(p_unset -> 'settings', '[]') ? s.key;
    DELETE FROM majlis_flags f WHERE f.scope = v_scope AND coalesce(p_unset -> 'flags', '[]') ? f.flag;
    INSERT INTO majlis_settings (scope, key, value, set_by)
    SELECT v_scope, s.key, s.value, p_by FROM jsonb_each(coalesce(p_set -> 'settings', '{}')) AS s
    ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = now();
    INSERT INTO majlis_flags (scope, flag, value)
    SELECT v_scope, f.key, f.value::text::boolean FROM jsonb_each(coalesce(p_set -> 'flags', '{}')) AS f
    ON CONFLICT (scope, flag) DO UPDATE SET value = excluded.value, set_at = now();
    -- `active` first: which row is read depends on it, and the others belong into that one.
    FOR v IN SELECT c.key, c.value FROM jsonb_each(coalesce(p_set -> 'columns', '{}')) AS c
             ORDER BY c.key <> 'active', c.key LOOP
        PERFORM majlis_write_value(p_instance, v.key, v.value);
    END LOOP;
    PERFORM majlis_keep_secrets(p_instance, coalesce(p_set -> 'secrets', '{}'), coalesce(p_unset -> 'secrets', '[]'));
    RETURN majlis_note_version(p_instance, p_by, p_why, p_what);
END $$;

-- What the poll compares: for each table one number for each bucket of names. A row that is written gets another xmin, and one
-- that is gone takes its own along, so the sum differs.
CREATE OR REPLACE FUNCTION majlis_instance_marks() RETURNS TABLE (kind text, buckets integer[], marks bigint[])
LANGUAGE sql STABLE AS $$
    SELECT x.kind, array_agg(x.bucket), array_agg(x.mark)
    FROM (
        SELECT 'names' AS kind, majlis_bucket(i.instance_name::text) AS bucket,
               sum(hashint8(i.xmin::text::bigint)::bigint) + count(*) AS mark
        FROM whatsapp_instances i WHERE i.instance_name IS NOT NULL GROUP BY 2
        UNION ALL
        SELECT 'ids', majlis_bucket(c.whatsapp_instance_id::text), sum(hashint8(c.xmin::text::bigint)::bigint) + count(*)
        FROM whatsapp_ai_config c WHERE c.whatsapp_instance_id IS NOT NULL GROUP BY 2
        UNION ALL
        SELECT 'webhooks', majlis_bucket(w.whatsapp_instance_id::text),
               sum(hashint8(w.xmin::text::bigint)::bigint) + count(*)
        FROM whatsapp_webhook_config w WHERE w.whatsapp_instance_id IS NOT NULL GROUP BY 2
        UNION ALL
        SELECT 'settings', majlis_bucket(s.scope), sum(hashint8(s.xmin::text::bigint)::bigint) + count(*)
        FROM majlis_settings s GROUP BY 2
        UNION ALL
        SELECT 'flags', majlis_bucket(f.scope), sum(hashint8(f.xmin::text::bigint)::bigint) + count(*)
        FROM majlis_flags f GROUP BY 2) AS x
    GROUP BY x.kind
$$;

CREATE OR REPLACE FUNCTION majlis_is_there(p_instance text) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
BEGIN
    RETURN (SELECT h.there FROM majlis_instance_heads h WHERE h.instance = p_instance);
END $$;

-- Looks at the instances in these buckets again; makes versions of what SQL has changed.
CREATE OR REPLACE FUNCTION majlis_look_again(p_names integer[], p_ids integer[], p_scopes integer[])
RETURNS TABLE (instance text, there boolean, version bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR instance IN
        SELECT i.instance_name::text FROM whatsapp_instances i
        WHERE length(i.instance_name::text) BETWEEN 1 AND 1000
          AND (majlis_bucket(i.instance_name::text) = ANY (p_names) OR majlis_bucket(i.id::text) = ANY (p_ids)
               OR majlis_bucket('instance:' || i.instance_name) = ANY (p_scopes))
        UNION
        SELECT h.instance FROM majlis_instance_heads h
        WHERE majlis_bucket(h.instance) = ANY (p_names) OR majlis_bucket('instance:' || h.instance) = ANY (p_scopes)
        ORDER BY 1
    LOOP
        version := majlis_note_version(instance, 'SQL', '', 'change');
        there := majlis_is_there(instance);
        RETURN NEXT;
    END LOOP;
END $$;
