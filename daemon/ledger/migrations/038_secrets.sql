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
