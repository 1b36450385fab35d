-- The tables of the peers of `make bench-turns`: what a team would make for this job and no more.
CREATE TABLE instances (
    id serial PRIMARY KEY,
    name text UNIQUE NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    system_prompt text,
    webhook_url text,
    escalation_enabled boolean NOT NULL DEFAULT false
);
CREATE TABLE conversations (
    id bigserial PRIMARY KEY,
    instance_id integer NOT NULL,
    phone text NOT NULL,
    status text NOT NULL DEFAULT 'active',
    last_activity timestamptz NOT NULL DEFAULT now(),
    UNIQUE (instance_id, phone)
);
CREATE TABLE messages (
    id bigserial PRIMARY KEY,
    conversation_id bigint NOT NULL,
    sender text NOT NULL,
    content text NOT NULL,
    message_id text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX messages_of_a_conversation ON messages (conversation_id, created_at DESC);
CREATE UNIQUE INDEX messages_once ON messages (conversation_id, message_id);
CREATE TABLE turns (
    id bigserial PRIMARY KEY,
    conversation_id bigint NOT NULL,
    batch text UNIQUE NOT NULL,
    text_hash text NOT NULL,
    answer text,
    state text NOT NULL DEFAULT 'started',
    gateway_id text,
    tokens_in integer,
    tokens_out integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
);
CREATE INDEX turns_of_a_conversation ON turns (conversation_id, id DESC);
CREATE TABLE escalations (
    conversation_id bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE interactions (
    id bigserial PRIMARY KEY,
    instance_id integer NOT NULL,
    phone text NOT NULL,
    user_message text NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX interactions_of_a_contact ON interactions (instance_id, phone, created_at DESC);
CREATE TABLE usage (
    instance_id integer NOT NULL,
    day date NOT NULL,
    tokens bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, day)
);
CREATE TABLE answer_cache (
    instance_id integer NOT NULL,
    question_hash text NOT NULL,
    answer text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance_id, question_hash)
);
