-- Keys and tokens of instances, sealed: nothing here says what they are. `key_id` names the key that opens a row; a row
-- opens in its own place alone.

CREATE TABLE IF NOT EXISTS majlis_secrets (
    instance text NOT NULL CHECK (length(instance) <= 1000),
    key      text NOT NULL CHECK (length(key) <= 200),
    sealed   bytea NOT NULL CHECK (length(sealed) <= 131072),
    key_id   text NOT NULL CHECK (length(key_id) <= 64),
    set_at   timestamptz NOT NULL DEFAULT now(),
    set_by   text NOT NULL DEFAULT '' CHECK (length(set_by) <= 200),
    PRIMARY KEY (instance, key)
);
