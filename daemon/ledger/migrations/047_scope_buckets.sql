-- What is set for the instances of one bucket is read without the others: the poll says in which bucket something changed.

CREATE INDEX IF NOT EXISTS majlis_settings_bucket ON majlis_settings (majlis_bucket(scope));
CREATE INDEX IF NOT EXISTS majlis_flags_bucket ON majlis_flags (majlis_bucket(scope));
CREATE INDEX IF NOT EXISTS majlis_secrets_bucket ON majlis_secrets (majlis_bucket('instance:' || instance));
