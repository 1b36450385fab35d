-- What the business wrote in its chats, and what was made of it. What a person wrote silences Majlis there; what a machine
-- sent is history alone; a command of staff is obeyed, and is no history. Nobody can tell a machine's message by itself, so
-- it is judged when it arrives, and again when more is known: a webhook may come before the one that it answers.
--
-- Verdicts: `silence` begins or prolongs a take-over; `greeting`, `announcement`, `listed` are automatic; `history` was sent
-- by other software; `resume`, `pause` are commands, `stale` one that came too late.

CREATE TABLE IF NOT EXISTS majlis_own_messages (
    instance   text NOT NULL,
    message_id text NOT NULL,
    contact    text NOT NULL,
    lid        text NOT NULL DEFAULT '',
    sender     text NOT NULL,                    -- `person`, `agent`, `program`
    verdict    text NOT NULL,
    sent_at    timestamptz NOT NULL,             -- by the gateway's clock, as the customers' messages are dated
    arrived_at timestamptz NOT NULL DEFAULT now(),
    until      timestamptz,                      -- how long it silences if it does
    text_hash  text NOT NULL DEFAULT '',         -- empty: nothing that could be compared
    quiet      boolean NOT NULL DEFAULT false,   -- the customer had not written for a while
    judged     boolean NOT NULL DEFAULT false,   -- it may be found to be automatic
    personal   boolean NOT NULL DEFAULT false,   -- it reads as if a person had typed it
    greets     boolean NOT NULL DEFAULT false,   -- it came within 3 s of the customer's first message
    PRIMARY KEY (instance, message_id)
);
CREATE INDEX IF NOT EXISTS majlis_own_messages_contact_idx ON majlis_own_messages (instance, contact, sent_at);
CREATE INDEX IF NOT EXISTS majlis_own_messages_lid_idx ON majlis_own_messages (instance, lid) WHERE lid <> '';
CREATE INDEX IF NOT EXISTS majlis_own_messages_text_idx ON majlis_own_messages (instance, text_hash, sent_at) WHERE quiet;
CREATE INDEX IF NOT EXISTS majlis_own_messages_greets_idx ON majlis_own_messages (instance, text_hash) WHERE greets;
CREATE INDEX IF NOT EXISTS majlis_own_messages_age_idx ON majlis_own_messages (arrived_at);
CREATE INDEX IF NOT EXISTS majlis_own_messages_id_idx ON majlis_own_messages (message_id);

-- What a take-over stands on besides messages, which an operator began, and when the one before it ended: so that it can be
-- taken back when its messages turn out to be automatic.
ALTER TABLE majlis_takeovers ADD COLUMN IF NOT EXISTS other_until timestamptz;
ALTER TABLE majlis_takeovers ADD COLUMN IF NOT EXISTS other_at timestamptz;
ALTER TABLE majlis_takeovers ADD COLUMN IF NOT EXISTS ended_before timestamptz;
-- Those in force stay: their messages are not known.
UPDATE majlis_takeovers SET other_until = until, other_at = started_at WHERE ended_at IS NULL AND until > now();

-- Silence until `p_until` at least, as in 013; without messages it is an operator's.
CREATE OR REPLACE FUNCTION majlis_pause(p_instance text, p_contact text, p_until timestamptz, p_message_ids text[])
RETURNS timestamptz LANGUAGE sql AS $$
    INSERT INTO majlis_takeovers AS known (instance, contact, until, message_ids, other_until, other_at)
    VALUES (p_instance, p_contact, p_until, p_message_ids,
            CASE WHEN p_message_ids = '{}' THEN p_until END, CASE WHEN p_message_ids = '{}' THEN now() END)
    ON CONFLICT (instance, contact) DO UPDATE
    SET started_at = CASE WHEN known.ended_at IS NULL AND known.until > now() THEN known.started_at ELSE now() END,
        ended_before = CASE WHEN known.ended_at IS NULL AND known.until > now() THEN known.ended_before
                            ELSE coalesce(known.ended_at, known.until) END,
        other_until = CASE WHEN known.ended_at IS NULL AND known.until > now()
                           THEN greatest(known.other_until, excluded.other_until) ELSE excluded.other_until END,
        other_at = CASE WHEN known.ended_at IS NULL AND known.until > now()
                        THEN greatest(known.other_at, excluded.other_at) ELSE excluded.other_at END,
        until = CASE WHEN known.ended_at IS NULL THEN greatest(known.until, p_until) ELSE p_until END,
        ended_at = NULL, ended_by = '',
        message_ids = (excluded.message_ids || known.message_ids)[1:20]
    RETURNING until
$$;

-- The silence of a chat as what is left of its reasons wants it. Returns whether it ended. One that ends so was none: it does
-- not count as handed back.
CREATE OR REPLACE FUNCTION majlis_settle_silence(p_instance text, p_contact text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_known majlis_takeovers;
    v_until timestamptz;
BEGIN
    SELECT * INTO v_known FROM majlis_takeovers
    WHERE instance = p_instance AND contact = p_contact AND ended_at IS NULL AND until > now()
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- After the lock, in a statement of its own: it sees the messages of whoever had the row before.
    SELECT greatest(v_known.other_until, max(o.until)) INTO v_until
    FROM majlis_own_messages o
    WHERE o.instance = p_instance AND (o.contact = p_contact OR o.lid = p_contact)
      AND o.verdict IN ('silence', 'pause') AND o.arrived_at >= v_known.started_at;
    IF v_until > now() THEN
        UPDATE majlis_takeovers SET until = v_until WHERE instance = p_instance AND contact = p_contact;
        RETURN false;
    ELSIF v_known.ended_before IS NULL THEN
        DELETE FROM majlis_takeovers WHERE instance = p_instance AND contact = p_contact;
    ELSE
        UPDATE majlis_takeovers SET until = ended_before, ended_at = ended_before
        WHERE instance = p_instance AND contact = p_contact;
    END IF;
    RETURN true;
END $$;

-- When the customer wrote, by the gateway's clock, as far as the latest turns of the conversation show.
CREATE OR REPLACE FUNCTION majlis_wrote(p_conversation_id text) RETURNS TABLE (message_id text, at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT majlis_original_id(m.value ->> 'id'),
           to_timestamp(least((m.value ->> 'sent_at')::numeric, 1e11)::double precision)
    FROM (SELECT messages FROM majlis_turns
          WHERE conversation_id = p_conversation_id ORDER BY id DESC LIMIT 20) t
    CROSS JOIN LATERAL jsonb_array_elements(t.messages) AS m (value)
    WHERE (m.value ->> 'sent_at')::numeric > 0
$$;

-- When the customer wrote for the first time in 14 days, the last time that was so; NULL if nothing shows it. `p_waiting` are
-- times of messages that no turn has heard yet.
CREATE OR REPLACE FUNCTION majlis_first_wrote(p_conversation_id text, p_waiting bigint[]) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_conversation whatsapp_messages.conversation_id%TYPE := p_conversation_id;
    v_ids text[] := ARRAY(SELECT w.message_id FROM majlis_wrote(p_conversation_id) w);
BEGIN
    RETURN (
        SELECT max(o.at)
        FROM (SELECT w.at, lag(w.at) OVER (ORDER BY w.at) AS before
              FROM (SELECT at FROM majlis_wrote(p_conversation_id)
                    UNION ALL SELECT to_timestamp(s) FROM unnest(p_waiting) AS s) w) o
        WHERE o.before < o.at - interval '14 days'
           OR o.before IS NULL AND NOT EXISTS (
               SELECT FROM whatsapp_messages k
               WHERE k.conversation_id = v_conversation AND k.sender_type = 'user'
                 AND k.created_at >= o.at - interval '14 days' AND k.created_at < o.at
                 -- Stored when it was answered, by another clock: what is known by its own time counts by that.
                 AND coalesce(k.message_id::text <> ALL (v_ids), true)));
END $$;

-- Whether the customer wrote within ten minutes before, and long enough before to be answered by a person: what follows his
-- message within 3 s was on its way or is an automatic answer.
CREATE OR REPLACE FUNCTION majlis_is_live(p_conversation_id text, p_at timestamptz, p_waiting bigint[])
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM (SELECT at FROM majlis_wrote(p_conversation_id)
                     UNION ALL SELECT to_timestamp(s) FROM unnest(p_waiting) AS s) w
        WHERE w.at BETWEEN p_at - interval '10 minutes' AND p_at - interval '4 seconds')
$$;

-- When somebody else than staff in the chat last changed who speaks there: an operator, or Majlis by escalating or by
-- falling silent to a machine (032).
CREATE OR REPLACE FUNCTION majlis_standing_changed_at(p_instance text, p_contact text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_instance whatsapp_escalated_conversations.whatsapp_instance_id%TYPE;
    v_names text[] := majlis_names(p_instance, p_contact);
BEGIN
    v_instance := (SELECT r.instance_id FROM majlis_instance_rule(p_instance) r);
    RETURN greatest(
        (SELECT max(greatest(e.escalated_at, e.resolved_at)) FROM whatsapp_escalated_conversations e
         WHERE e.whatsapp_instance_id = v_instance AND e.user_phone = ANY (v_names)),
        (SELECT max(greatest(t.other_at, CASE WHEN t.ended_by <> 'staff' THEN t.ended_at END))
         FROM majlis_takeovers t WHERE t.instance = p_instance AND t.contact = ANY (v_names)),
        (SELECT max(greatest(m.started_at, CASE WHEN m.ended_by <> 'staff' THEN m.ended_at END))
         FROM majlis_machines m WHERE m.instance = p_instance AND m.contact = ANY (v_names)));
END $$;

-- Whether the same text went to two other chats whose customers were quiet, within a day. If so it is an announcement there
-- too; returns the chats that are no longer silent, NULL if it is none.
CREATE OR REPLACE FUNCTION majlis_announced(p_instance text, p_contact text, p_text_hash text, p_at timestamptz)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_lifted text[] := '{}';
    v_chat record;
BEGIN
    -- Two at once must see each other.
    PERFORM pg_advisory_xact_lock(hashtextextended('majlis own text ' || p_instance || '/' || p_text_hash, 0));
    IF (SELECT count(DISTINCT o.contact) < 2
        FROM (SELECT contact FROM majlis_own_messages
              WHERE instance = p_instance AND text_hash = p_text_hash AND quiet AND contact <> p_contact
                AND sent_at BETWEEN p_at - interval '1 day' AND p_at + interval '1 day'
              ORDER BY sent_at DESC LIMIT 100) o) THEN
        RETURN NULL;
    END IF;
    FOR v_chat IN
        WITH automatic AS (
            UPDATE majlis_own_messages SET verdict = 'announcement'
            WHERE instance = p_instance AND text_hash = p_text_hash AND quiet AND judged AND verdict = 'silence'
              AND sent_at BETWEEN p_at - interval '1 day' AND p_at + interval '1 day'
            RETURNING contact, lid)
        SELECT contact AS name FROM automatic UNION SELECT lid FROM automatic WHERE lid <> '' ORDER BY 1
    LOOP
        IF majlis_settle_silence(p_instance, v_chat.name) THEN
            v_lifted := v_lifted || v_chat.name;
        END IF;
    END LOOP;
    RETURN v_lifted;
END $$;

-- Whether what came within 3 s of a customer's first message is a greeting that the app sends by itself. What reads as if a
-- person had typed it is one only if another new customer got the very same; that one's silence ends then too. Returns
-- the chats that are no longer silent, NULL if it is none.
CREATE OR REPLACE FUNCTION majlis_greets(p_instance text, p_contact text, p_text_hash text, p_personal boolean)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_lifted text[] := '{}';
    v_chat record;
BEGIN
    IF NOT p_personal THEN
        RETURN '{}';
    ELSIF p_text_hash = '' THEN
        RETURN NULL;
    END IF;
    -- Two at once must see each other.
    PERFORM pg_advisory_xact_lock(hashtextextended('majlis own text ' || p_instance || '/' || p_text_hash, 0));
    IF NOT EXISTS (SELECT FROM majlis_own_messages
                   WHERE instance = p_instance AND text_hash = p_text_hash AND greets AND contact <> p_contact) THEN
        RETURN NULL;
    END IF;
    FOR v_chat IN
        WITH automatic AS (
            UPDATE majlis_own_messages SET verdict = 'greeting', quiet = false
            WHERE instance = p_instance AND text_hash = p_text_hash AND greets AND judged AND verdict = 'silence'
            RETURNING contact, lid)
        SELECT contact AS name FROM automatic UNION SELECT lid FROM automatic WHERE lid <> '' ORDER BY 1
    LOOP
        IF majlis_settle_silence(p_instance, v_chat.name) THEN
            v_lifted := v_lifted || v_chat.name;
        END IF;
    END LOOP;
    RETURN v_lifted;
END $$;

-- The business wrote in a chat. NULL: that changes nothing, because the instance is unknown, Majlis sent it, it was seen
-- before, or it is older than the silence that it would cause or than a hand-back. Otherwise what was made of it: `verdict`;
-- `seconds` that Majlis is silent there now; `ended`, what a command ended; `lifted`, chats that are no longer silent.
--   p_sender   who wrote: `person`, `agent`, `program`
--   p_verdict  as far as the text alone tells: `silence`, `listed`, `history`, `resume`, `pause`
--   p_judge    whether a `silence` may turn out to be automatic
--   p_personal whether it reads as if a person had typed it
--   p_waiting  when the customer's messages that no turn has heard yet were written; Unix seconds
CREATE OR REPLACE FUNCTION majlis_heed_own(
    p_instance text, p_contact text, p_lid text, p_message_id text, p_text text, p_sent_at bigint,
    p_pause_seconds double precision, p_sender text, p_verdict text, p_judge boolean, p_personal boolean,
    p_waiting bigint[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_said_at timestamptz := coalesce(to_timestamp(nullif(least(p_sent_at, 100000000000), 0)), now());
    v_sent timestamptz := least(now(), v_said_at);
    v_until timestamptz := v_sent + p_pause_seconds * interval '1 second';
    v_verdict text := p_verdict;
    v_hash text := '';
    v_quiet boolean := false;
    v_greets boolean := false;
    v_lifted text[] := '{}';
    v_ended integer := 0;
    v_seconds double precision;
    v_first timestamptz;
    v_rule text;
    v_instance_id text;
    v_contact text;
    v_names text[];
    v_conversation_id text;
BEGIN
    SELECT r.rule, r.instance_id INTO v_rule, v_instance_id FROM majlis_instance_rule(p_instance) r;
    IF v_rule = 'unknown_instance' OR v_verdict = 'silence' AND v_until <= now() THEN
        RETURN NULL;
    END IF;
    v_contact := majlis_contact_of(p_instance, p_contact, p_lid);
    PERFORM majlis_lock_contact(p_instance, v_contact);
    v_names := majlis_names(p_instance, v_contact);
    IF EXISTS (SELECT FROM majlis_own_messages WHERE instance = p_instance AND message_id = p_message_id)
        OR majlis_is_ours(p_instance, v_contact, p_message_id, p_text)
        OR EXISTS (
            SELECT FROM majlis_takeovers t
            WHERE t.instance = p_instance AND t.contact = ANY (v_names)
              -- Timestamps are whole seconds: a message sent in the second of the hand-back counts as sent after it.
              AND (p_message_id = ANY (t.message_ids)
                   OR v_verdict = 'silence' AND t.ended_at >= v_sent + interval '1 second'))
    THEN
        RETURN NULL;
    END IF;
    v_conversation_id := majlis_find_conversation(v_instance_id, v_contact);
    IF majlis_is_echo(v_conversation_id, p_text) THEN
        RETURN NULL;
    END IF;

    IF v_verdict IN ('resume', 'pause') THEN
        IF majlis_standing_changed_at(p_instance, v_contact) >= v_sent + interval '1 second' OR EXISTS (
            SELECT FROM majlis_own_messages
            WHERE instance = p_instance AND contact = ANY (v_names) AND sent_at > v_said_at
              AND verdict IN ('silence', 'resume', 'pause')
        ) OR v_verdict = 'pause' AND v_until <= now() THEN
            v_verdict := 'stale';
        ELSIF v_verdict = 'resume' THEN
            v_ended := majlis_hand_back(p_instance, v_contact, 'staff', true)
                + majlis_end_machine(p_instance, v_contact, 'staff');
        END IF;
    ELSE
        -- What only names a kind of media (`[image]`) says nothing of which it was.
        IF majlis_plain(p_text) !~ '^(\[[^]]*\])?$' THEN
            v_hash := encode(sha256(convert_to(majlis_plain(p_text), 'UTF8')), 'hex');
        END IF;
        IF v_verdict = 'silence' AND p_judge THEN
            v_first := majlis_first_wrote(v_conversation_id, p_waiting);
            v_quiet := v_hash <> '' AND NOT majlis_is_live(v_conversation_id, v_said_at, p_waiting);
            -- The app that greets is a telephone's: no other software, and no agent's desk, sends in its place.
            v_greets := coalesce(
                p_sender = 'person' AND v_said_at BETWEEN v_first AND v_first + interval '3 seconds', false);
            IF v_greets THEN
                v_lifted := majlis_greets(p_instance, v_contact, v_hash, p_personal);
                v_verdict := CASE WHEN v_lifted IS NULL THEN 'silence' ELSE 'greeting' END;
            ELSIF v_quiet THEN
                v_lifted := majlis_announced(p_instance, v_contact, v_hash, v_said_at);
                v_verdict := CASE WHEN v_lifted IS NULL THEN 'silence' ELSE 'announcement' END;
            END IF;
        END IF;
        PERFORM majlis_store_own(v_conversation_id, p_message_id, p_text,
                                 CASE WHEN v_sent < now() - interval '1 minute' THEN v_sent ELSE now() END);
    END IF;
    INSERT INTO majlis_own_messages (instance, message_id, contact, lid, sender, verdict, sent_at, until, text_hash,
                                     quiet, judged, personal, greets)
    VALUES (p_instance, p_message_id, v_contact, CASE WHEN p_lid = v_contact THEN '' ELSE p_lid END, p_sender,
            v_verdict, v_said_at, CASE WHEN p_verdict IN ('silence', 'pause') THEN v_until END, v_hash, v_quiet,
            p_judge, p_personal, v_greets);
    IF v_verdict IN ('silence', 'pause') THEN
        -- As long as the two are not linked, a customer's message may come under the LID alone.
        IF p_lid <> '' AND p_lid <> v_contact THEN
            PERFORM majlis_pause(p_instance, p_lid, v_until, ARRAY[p_message_id]);
        END IF;
        v_seconds := extract(epoch FROM majlis_pause(p_instance, v_contact, v_until, ARRAY[p_message_id]) - now());
    END IF;
    RETURN jsonb_build_object('verdict', v_verdict, 'seconds', v_seconds, 'ended', v_ended,
                              'lifted', to_jsonb(coalesce(v_lifted, '{}')));
END $$;

-- A daemon of the version before takes every message for a person's.
CREATE OR REPLACE FUNCTION majlis_take_over(
    p_instance text, p_contact text, p_lid text, p_message_id text, p_text text, p_sent_at bigint,
    p_pause_seconds double precision) RETURNS double precision LANGUAGE sql AS $$
    SELECT (majlis_heed_own(p_instance, p_contact, p_lid, p_message_id, p_text, p_sent_at, p_pause_seconds, 'person',
                            'silence', false, false, '{}') ->> 'seconds')::double precision
$$;

-- Judge again what the business wrote in the chat of a turn, now that the turn has stored what the customer wrote. Returns
-- why a silence ended; empty: none did. Whoever wrote before the turn's first step has committed, for both lock the contact;
-- whoever writes after it sees what the turn has stored.
CREATE OR REPLACE FUNCTION majlis_judge_again(p_instance text, p_contact text, p_conversation_key text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_names text[] := majlis_names(p_instance, p_contact);
    v_conversation_id text;
    v_first timestamptz;
    v_greeted boolean := false;
    v_lifted text := '';
    v_own majlis_own_messages;
    v_name text;
BEGIN
    IF NOT EXISTS (
        SELECT FROM majlis_own_messages o
        WHERE o.instance = p_instance AND o.contact = ANY (v_names) AND o.judged AND o.until > now()
          AND (o.verdict = 'silence' OR o.verdict = 'announcement')
    ) THEN
        RETURN '';
    END IF;
    SELECT t.conversation_id INTO v_conversation_id FROM majlis_turns t
    WHERE t.conversation_key = p_conversation_key ORDER BY t.batch_number DESC, t.revision DESC LIMIT 1;

    v_first := majlis_first_wrote(v_conversation_id, '{}');
    UPDATE majlis_own_messages SET greets = true
    WHERE instance = p_instance AND contact = ANY (v_names) AND judged AND until > now() AND verdict = 'silence'
      AND NOT greets AND sender = 'person' AND sent_at BETWEEN v_first AND v_first + interval '3 seconds';
    FOR v_own IN
        SELECT * FROM majlis_own_messages
        WHERE instance = p_instance AND contact = ANY (v_names) AND judged AND until > now() AND verdict = 'silence'
          AND greets
    LOOP
        IF majlis_greets(p_instance, v_own.contact, v_own.text_hash, v_own.personal) IS NOT NULL THEN
            UPDATE majlis_own_messages SET verdict = 'greeting', quiet = false
            WHERE instance = p_instance AND message_id = v_own.message_id;
            v_greeted := true;
        END IF;
    END LOOP;
    IF v_greeted THEN
        FOREACH v_name IN ARRAY v_names LOOP
            IF majlis_settle_silence(p_instance, v_name) THEN
                v_lifted := 'greeting';
            END IF;
        END LOOP;
    END IF;

    -- The chat was live after all: a person answered there, in words that were used elsewhere as well.
    FOR v_own IN
        UPDATE majlis_own_messages o SET verdict = 'silence', quiet = false
        WHERE o.instance = p_instance AND o.contact = ANY (v_names) AND o.judged AND o.until > now()
          AND o.verdict = 'announcement' AND majlis_is_live(v_conversation_id, o.sent_at, '{}')
        RETURNING *
    LOOP
        PERFORM majlis_pause(p_instance, v_own.contact, v_own.until, ARRAY[v_own.message_id])
        WHERE NOT EXISTS (SELECT FROM majlis_takeovers t
                          WHERE t.instance = p_instance AND t.contact = ANY (v_names) AND t.ended_at >= v_own.sent_at);
    END LOOP;
    UPDATE majlis_own_messages o SET quiet = false
    WHERE o.instance = p_instance AND o.contact = ANY (v_names) AND o.judged AND o.until > now() AND o.quiet
      AND o.verdict = 'silence' AND majlis_is_live(v_conversation_id, o.sent_at, '{}');
    RETURN v_lifted;
END $$;

-- Who speaks in this conversation, as in 010, after what is known now; `lifted` says why a silence ended just now.
CREATE OR REPLACE FUNCTION majlis_standing_now(
    p_instance text, p_contact text, p_conversation_key text, p_hand_back_seconds double precision,
    p_heed_takeover boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_lifted text := '';
BEGIN
    IF p_heed_takeover THEN
        v_lifted := majlis_judge_again(p_instance, p_contact, p_conversation_key);
    END IF;
    RETURN majlis_standing(p_instance, p_contact, p_conversation_key, p_hand_back_seconds, p_heed_takeover)
        || jsonb_build_object('lifted', v_lifted);
END $$;

-- For operators: what the business wrote, with the number of chats that got the same text.
CREATE OR REPLACE FUNCTION majlis_own_view(p_own majlis_own_messages) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', p_own.message_id, 'instance', p_own.instance, 'contact', p_own.contact, 'sender', p_own.sender,
        'verdict', p_own.verdict, 'sent_at', p_own.sent_at, 'arrived_at', p_own.arrived_at,
        'chats', CASE WHEN p_own.verdict = 'announcement' THEN (
            SELECT count(DISTINCT o.contact)
            FROM (SELECT contact FROM majlis_own_messages
                  WHERE instance = p_own.instance AND text_hash = p_own.text_hash AND quiet
                    AND sent_at BETWEEN p_own.sent_at - interval '1 day' AND p_own.sent_at + interval '1 day'
                  LIMIT 10000) o) ELSE 1 END)
$$;
