-- Settings that were made while a daemon ran. `scope` is `daemon:<node>` or `instance:<name>`; the narrower one wins.

CREATE TABLE IF NOT EXISTS majlis_settings (
    scope  text NOT NULL CHECK (length(scope) <= 1000),
    key    text NOT NULL CHECK (length(key) <= 200),
    value  jsonb NOT NULL CHECK (length(value::text) <= 32768),
    set_at timestamptz NOT NULL DEFAULT now(),
    set_by text NOT NULL DEFAULT '' CHECK (length(set_by) <= 200),  -- empty: written in SQL
    PRIMARY KEY (scope, key)
);
