-- Tables for answering: escalation, take-over, notices, feature flags, usage and cost, and the trace of each turn.

DO $$
DECLARE
    v_wanted record;
BEGIN
    FOR v_wanted IN
        SELECT * FROM (VALUES
            ('whatsapp_instances', 'fallback_message', 'text'),
            ('whatsapp_ai_config', 'system_prompt', 'text'),
            ('whatsapp_escalated_conversations', 'resolved_by', 'text'),
            ('majlis_turns', 'cost_micros', 'bigint NOT NULL DEFAULT 0'),
            ('majlis_turns', 'needs_data_collection', 'boolean NOT NULL DEFAULT false'),
            ('majlis_turns', 'requested_fields', 'text[] NOT NULL DEFAULT ''{}'''),
            ('majlis_turns', 'confidence', 'double precision'),
            ('majlis_turns', 'origin', 'text NOT NULL DEFAULT '''''),
            ('majlis_turns', 'dead_reason', 'text NOT NULL DEFAULT '''''),
            ('majlis_turns', 'dead_detail', 'text NOT NULL DEFAULT '''''),
            ('majlis_turns', 'waterfall', 'jsonb NOT NULL DEFAULT ''[]''')
        ) AS wanted (table_name, column_name, definition)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = v_wanted.table_name::regclass AND attname = v_wanted.column_name AND NOT attisdropped
        ) THEN
            EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS %I %s',
                           v_wanted.table_name, v_wanted.column_name, v_wanted.definition);
        END IF;
    END LOOP;
    -- Rows written by Majlis need an id where the business' own software generates its uuids itself.
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'whatsapp_escalated_conversations'::regclass
                 AND attname = 'id' AND atttypid = 'uuid'::regtype AND NOT atthasdef) THEN
        ALTER TABLE whatsapp_escalated_conversations ALTER COLUMN id SET DEFAULT gen_random_uuid();
    END IF;
END $$;

-- `dropped`: a part that was not sent because a person took the conversation over.
ALTER TABLE majlis_outbox DROP CONSTRAINT IF EXISTS majlis_outbox_state_check;
ALTER TABLE majlis_outbox ADD CONSTRAINT majlis_outbox_state_check
    CHECK (state IN ('pending', 'sending', 'unknown', 'sent', 'dropped')) NOT VALID;  -- existing rows satisfy it: the old states are a subset

-- A person of the business writes in the chat: Majlis is silent until `until`, or until the take-over is ended.
-- `contact` is the phone number, or the LID as long as its number is unknown.
CREATE TABLE IF NOT EXISTS majlis_takeovers (
    instance   text NOT NULL,
    contact    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    until      timestamptz NOT NULL,
    ended_at   timestamptz,
    ended_by   text NOT NULL DEFAULT '',
    PRIMARY KEY (instance, contact)
);

-- Answers begun in the last minute, if rates are limited: each turn that may be answered takes a place.
CREATE TABLE IF NOT EXISTS majlis_places (
    turn_id          bigint PRIMARY KEY,
    instance         text NOT NULL,
    conversation_key text NOT NULL,
    at               timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS majlis_places_at_idx ON majlis_places (instance, at);

-- Notices to the business: to staff by WhatsApp, to software by webhook. Sent at least once, in order of `due_at`.
CREATE TABLE IF NOT EXISTS majlis_notices (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('whatsapp', 'webhook')),
    instance   text NOT NULL,
    target     text NOT NULL,
    body       text NOT NULL,
    once       text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at     timestamptz NOT NULL DEFAULT now(),
    tries      integer NOT NULL DEFAULT 0,
    reason     text,
    sent_at    timestamptz,
    given_up_at timestamptz
);
CREATE INDEX IF NOT EXISTS majlis_notices_due_idx ON majlis_notices (due_at)
    WHERE sent_at IS NULL AND given_up_at IS NULL;

-- Feature flags set at run time. `scope` is `daemon:<node>` or `instance:<name>`; the narrower one wins.
CREATE TABLE IF NOT EXISTS majlis_flags (
    scope  text NOT NULL,
    flag   text NOT NULL,
    value  boolean NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, flag)
);

-- The usage of each instance by day (UTC), updated in the transaction that stores an answer.
CREATE TABLE IF NOT EXISTS majlis_usage (
    instance      text NOT NULL,
    day           date NOT NULL,
    answers       bigint NOT NULL DEFAULT 0,
    cached        bigint NOT NULL DEFAULT 0,
    input_tokens  bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost_micros   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (instance, day)
);
