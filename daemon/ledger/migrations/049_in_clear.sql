-- Secrets that SQL wrote in clear are in no version: a daemon seals them (majlis_seal_clear), and what versions held is wiped.
-- And a row of whatsapp_instances that SQL deletes counts as a removal, after which adding begins anew.

-- Whether a setting of this key is a secret, or looks like one whose key is misspelt. It is by the name alone; a test compares
-- it with the types of the settings.
CREATE OR REPLACE FUNCTION majlis_is_secret(p_key text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_key ~* ('(^|[._-])(api[._-]?key|key|token|secret|passw[a-z]*|authorization|credential|headers?|webhook|jwt)($|[._])'
                     '|(^|[._-])(api[._-]?keys|keys|secrets|credentials|webhooks)($|[.])|(^|[.])tokens($|[.])'
                     '|^passthrough[.]url($|[.])')
$$;

-- The state of an instance as versions hold it: of a secret only that it is there (majlis_secret_words).
CREATE OR REPLACE FUNCTION majlis_told_state(p_instance text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT s.state || jsonb_build_object('settings', (s.state -> 'settings') - ARRAY(
        SELECT k.key FROM jsonb_object_keys(s.state -> 'settings') AS k (key) WHERE majlis_is_secret(k.key)))
    FROM (SELECT majlis_instance_state(p_instance) AS state) AS s
$$;

-- As before, with those in clear.
CREATE OR REPLACE FUNCTION majlis_secret_words(p_instance text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(w.key, w.word), '{}')
    FROM (SELECT x.key, to_char(max(x.set_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS word
          FROM (SELECT s.key, s.set_at FROM majlis_secrets s WHERE s.instance = p_instance
                UNION ALL
                SELECT s.key, s.set_at FROM majlis_settings s
                WHERE s.scope = 'instance:' || p_instance AND majlis_is_secret(s.key)) AS x
          GROUP BY x.key) AS w
$$;

-- As before; what is in clear goes as well.
CREATE OR REPLACE FUNCTION majlis_keep_secrets(p_instance text, p_set jsonb, p_unset jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM majlis_settings s
    WHERE s.scope = 'instance:' || p_instance AND (p_unset ? s.key OR p_set ? s.key) AND majlis_is_secret(s.key);
    DELETE FROM majlis_secrets s WHERE s.instance = p_instance AND p_unset ? s.key;
    INSERT INTO majlis_secrets (instance, key, sealed, key_id, set_at)
    SELECT p_instance, s.key, decode(s.value ->> 'sealed', 'base64'), s.value ->> 'key_id', clock_timestamp()
    FROM jsonb_each(p_set) AS s
    ON CONFLICT (instance, key) DO UPDATE
    SET sealed = excluded.sealed, key_id = excluded.key_id, set_at = excluded.set_at;
END $$;

-- Puts the sealed value in place of the one in clear; false: that is not there any more, or another one is. `p_digest`: of the
-- text of the value. It keeps the moment at which it was set, so that the version stays the same.
CREATE OR REPLACE FUNCTION majlis_seal_clear(
    p_instance text, p_key text, p_digest text, p_sealed bytea, p_key_id text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_set_at timestamptz;
BEGIN
    DELETE FROM majlis_settings s
    WHERE s.scope = 'instance:' || p_instance AND s.key = p_key
      AND encode(sha256(convert_to(s.value::text, 'UTF8')), 'hex') = p_digest
    RETURNING s.set_at INTO v_set_at;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO majlis_secrets AS old (instance, key, sealed, key_id, set_at)
    VALUES (p_instance, p_key, p_sealed, p_key_id, v_set_at)
    ON CONFLICT (instance, key) DO UPDATE
    SET sealed = excluded.sealed, key_id = excluded.key_id,
        set_at = CASE WHEN excluded.set_at > old.set_at THEN excluded.set_at ELSE clock_timestamp() END;
    RETURN true;
END $$;

-- As before, but of what is told; and that an instance is gone, or there again, is a removal or an addition.
CREATE OR REPLACE FUNCTION majlis_note_version(p_instance text, p_by text, p_why text, p_what text) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    v_state jsonb;
    v_mark text;
    v_head majlis_instance_heads;
    v_what text := p_what;
BEGIN
    FOR v_round IN 1 .. 2 LOOP
        v_state := majlis_told_state(p_instance);
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
        v_state := majlis_told_state(p_instance);
    ELSIF v_head.there <> (v_state ->> 'there')::boolean THEN
        v_what := CASE WHEN v_head.there THEN 'remove' ELSE 'add' END;
    END IF;
    INSERT INTO majlis_instance_heads AS h (instance, version, mark, there, removed)
    VALUES (p_instance, v_head.version, md5((v_state - 'row')::text), (v_state ->> 'there')::boolean, v_head.removed)
    ON CONFLICT (instance) DO UPDATE
    SET version = excluded.version, mark = excluded.mark, there = excluded.there, removed = excluded.removed;
    INSERT INTO majlis_instance_versions (instance, version, made_by, what, why, state)
    VALUES (p_instance, v_head.version, p_by, CASE v_head.version WHEN 1 THEN 'add' ELSE v_what END, p_why, v_state);
    IF v_head.version > 1000 THEN
        DELETE FROM majlis_instance_versions WHERE instance = p_instance AND version <= v_head.version - 1000;
    END IF;
    RETURN v_head.version;
END $$;

-- As before, but what was left of an instance that was there before is not taken up by one that is added, and restoring
-- makes the row that SQL deleted.
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
    IF p_what = 'add' AND EXISTS (SELECT FROM majlis_instance_heads h WHERE h.instance = p_instance) THEN
        PERFORM majlis_note_version(p_instance, 'SQL', '', 'change');
        DELETE FROM majlis_settings s WHERE s.scope = v_scope;
        DELETE FROM majlis_flags f WHERE f.scope = v_scope;
        DELETE FROM majlis_secrets s WHERE s.instance = p_instance;
    END IF;
    IF p_what IN ('add', 'restore')
        AND NOT EXISTS (SELECT FROM whatsapp_instances i WHERE i.instance_name = p_instance) THEN
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

UPDATE majlis_instance_versions v
SET state = v.state || jsonb_build_object('settings', (v.state -> 'settings') - c.keys,
                                          'secrets', c.words || coalesce((v.state -> 'secrets'), '{}'))
FROM (SELECT w.instance, w.version, array_agg(k.key) AS keys, jsonb_object_agg(k.key, 'SQL') AS words
      FROM majlis_instance_versions w CROSS JOIN LATERAL jsonb_object_keys(w.state -> 'settings') AS k (key)
      WHERE majlis_is_secret(k.key) GROUP BY 1, 2) AS c
WHERE v.instance = c.instance AND v.version = c.version;
