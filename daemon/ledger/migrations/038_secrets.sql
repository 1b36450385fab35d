-- Keys and tokens of instances, sealed: nothing here says what they are. `key_id` names the key that opens a row; a row
-- opens in its own place alone. To seal it with another key changes neither the secret nor `set_at`.

CREATE TABLE IF NOT EXISTS majlis_secrets (
    instance text NOT NULL CHECK (length(instance) <= 1000),
    key      text NOT NULL CHECK (length(key) <= 200),
    sealed   bytea NOT NULL CHECK (length(sealed) <= 131072),
    key_id   text NOT NULL CHECK (length(key_id) <= 64),
    set_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, key)
);

-- By key a word that is another one after each change, and says nothing about the secret.
CREATE OR REPLACE FUNCTION majlis_secret_words(p_instance text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(s.key, to_char(s.set_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')), '{}')
    FROM majlis_secrets s WHERE s.instance = p_instance
$$;

-- In the transaction of the change that they belong to. p_set: by key {"sealed": base64, "key_id"}; p_unset: keys.
CREATE OR REPLACE FUNCTION majlis_keep_secrets(p_instance text, p_set jsonb, p_unset jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM majlis_secrets s WHERE s.instance = p_instance AND p_unset ? s.key;
    INSERT INTO majlis_secrets (instance, key, sealed, key_id, set_at)
    SELECT p_instance, s.key, decode(s.value ->> 'sealed', 'base64'), s.value ->> 'key_id', clock_timestamp()
    FROM jsonb_each(p_set) AS s
    ON CONFLICT (instance, key) DO UPDATE
    SET sealed = excluded.sealed, key_id = excluded.key_id, set_at = excluded.set_at;
END $$;

-- As before, with the secrets.
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
        FROM majlis_flags f GROUP BY 2
        UNION ALL
        SELECT 'secrets', majlis_bucket('instance:' || s.instance),
               sum(hashint8(s.xmin::text::bigint)::bigint) + count(*)
        FROM majlis_secrets s GROUP BY 2) AS x
    GROUP BY x.kind
$$;
