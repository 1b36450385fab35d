-- Majlis' own tables. References to rows of shared tables are text, because their ids may be of any type.

CREATE TABLE IF NOT EXISTS majlis_install (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    install_id text NOT NULL,
    partitions integer NOT NULL CHECK (partitions > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Who may act for a partition. The epoch only grows.
-- `UNIQUE (partition, epoch)` makes the epoch a key column. A step of a turn holds the row FOR KEY SHARE: a renewal, which
-- changes only `until`, does not wait for that; a takeover, which changes the epoch, does. So a turn that waits for a lock
-- does not block lease renewals, and no takeover can happen between the check in a step and its commit.
CREATE TABLE IF NOT EXISTS majlis_partitions (
    partition   integer PRIMARY KEY,
    epoch       bigint NOT NULL DEFAULT 0,
    owner       text NOT NULL DEFAULT '',
    incarnation text NOT NULL DEFAULT '',
    until       timestamptz NOT NULL DEFAULT '-infinity',
    UNIQUE (partition, epoch)
) WITH (fillfactor = 50);

-- One row per batch. `revision` is 0 unless a mirror that lost its state reused a batch number: then the same number comes
-- again with other messages, which must be answered and not be mistaken for the old batch.
CREATE TABLE IF NOT EXISTS majlis_turns (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_key text NOT NULL,
    partition        integer NOT NULL,
    batch_number     bigint NOT NULL,
    revision         integer NOT NULL DEFAULT 0,
    lo               bigint NOT NULL,
    hi               bigint NOT NULL,
    why              text NOT NULL,
    tries            integer NOT NULL DEFAULT 0,
    state            text NOT NULL DEFAULT 'started'
                     CHECK (state IN ('started', 'answered', 'done', 'suppressed', 'dead', 'moved')),
    rule             text NOT NULL DEFAULT '',
    moved_to         text NOT NULL DEFAULT '',
    instance         text NOT NULL,
    contact          text NOT NULL,
    messages         jsonb NOT NULL,
    message_ids      text[] NOT NULL,
    text             text NOT NULL,
    text_hash        text NOT NULL,
    conversation_id  text,
    answer           text,
    provider         text,
    model            text,
    input_tokens     integer,
    output_tokens    integer,
    epoch            bigint NOT NULL,
    opened_at        timestamptz NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    answered_at      timestamptz,
    finished_at      timestamptz,
    UNIQUE (conversation_key, batch_number, revision)
) WITH (fillfactor = 80);

CREATE INDEX IF NOT EXISTS majlis_turns_text_idx ON majlis_turns (conversation_key, text_hash, created_at);
CREATE INDEX IF NOT EXISTS majlis_turns_conversation_idx ON majlis_turns (conversation_id, id);
CREATE INDEX IF NOT EXISTS majlis_turns_state_idx ON majlis_turns (state);
CREATE INDEX IF NOT EXISTS majlis_turns_unfinished_idx ON majlis_turns (opened_at)
    WHERE state IN ('started', 'answered');

-- One row per outgoing message, numbered from 0. `claimed_at` is the first claim that may have sent it: evidence is searched
-- from then on. `last_claimed_at` is the latest claim: until it is old enough, missing evidence proves nothing.
CREATE TABLE IF NOT EXISTS majlis_outbox (
    turn_id            bigint NOT NULL REFERENCES majlis_turns (id),
    part               integer NOT NULL,
    text               text NOT NULL,
    state              text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'unknown', 'sent')),
    claim_token        text,
    claimed_at         timestamptz,
    last_claimed_at    timestamptz,
    resends            integer NOT NULL DEFAULT 0 CHECK (resends BETWEEN 0 AND 1),
    may_resend         boolean NOT NULL DEFAULT true,
    gateway_message_id text,
    reason             text,
    settled_at         timestamptz,
    PRIMARY KEY (turn_id, part)
);

CREATE TABLE IF NOT EXISTS majlis_dead_letters (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    turn_id    bigint NOT NULL UNIQUE REFERENCES majlis_turns (id),
    reason     text NOT NULL,
    detail     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    retried_at timestamptz
);
CREATE INDEX IF NOT EXISTS majlis_dead_letters_open_idx ON majlis_dead_letters (id) WHERE retried_at IS NULL;

-- The phone number behind a WhatsApp LID, as reported by the gateway.
CREATE TABLE IF NOT EXISTS majlis_identities (
    instance   text NOT NULL,
    lid        text NOT NULL,
    phone      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, lid)
);

CREATE TABLE IF NOT EXISTS majlis_audit (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    uid    integer NOT NULL,
    pid    integer NOT NULL,
    action text NOT NULL,
    target text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS majlis_audit_at_idx ON majlis_audit (at);
