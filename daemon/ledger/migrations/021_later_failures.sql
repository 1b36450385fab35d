-- Sends that the gateway confirmed and reported as failed afterwards. Such a report is a fact, so it needs no epoch. It
-- counts once the turn has ended: until then its other parts go on, and the report is remembered. A report may also come
-- before the send itself is settled, so an unknown id is remembered for a day.

ALTER TABLE majlis_outbox DROP CONSTRAINT IF EXISTS majlis_outbox_state_check;
ALTER TABLE majlis_outbox ADD CONSTRAINT majlis_outbox_state_check
    CHECK (state IN ('pending', 'sending', 'unknown', 'sent', 'dropped', 'failed_later')) NOT VALID;  -- as in 007

ALTER TABLE majlis_notices ADD COLUMN IF NOT EXISTS gateway_message_id text;

CREATE TABLE IF NOT EXISTS majlis_later_failures (
    instance   text NOT NULL,
    message_id text NOT NULL,
    reason     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, message_id)
);

-- Applies what is remembered about the parts of a turn that has ended. A turn that counted as done becomes a dead letter.
CREATE OR REPLACE FUNCTION majlis_apply_failures(p_turn majlis_turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_detail text;
BEGIN
    UPDATE majlis_outbox o SET state = 'failed_later', reason = f.reason, settled_at = now()
    FROM majlis_later_failures f
    WHERE o.turn_id = p_turn.id AND o.state = 'sent'
      AND f.instance = p_turn.instance AND f.message_id = o.gateway_message_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM majlis_later_failures f USING majlis_outbox o
    WHERE o.turn_id = p_turn.id AND f.instance = p_turn.instance AND f.message_id = o.gateway_message_id;
    SELECT format('%s; parts: %s failed later, %s in all',
                  string_agg(DISTINCT reason, ', ') FILTER (WHERE state = 'failed_later'),
                  count(*) FILTER (WHERE state = 'failed_later'), count(*)) INTO v_detail
    FROM majlis_outbox WHERE turn_id = p_turn.id;
    IF p_turn.state = 'done' THEN
        UPDATE majlis_turns SET state = 'dead' WHERE id = p_turn.id;
        INSERT INTO majlis_dead_letters (turn_id, reason, detail) VALUES (p_turn.id, 'failed_later', v_detail)
        ON CONFLICT DO NOTHING;
    ELSE
        UPDATE majlis_dead_letters SET detail = v_detail WHERE turn_id = p_turn.id AND reason = 'failed_later';
    END IF;
END $$;

-- The gateway reports that a message it had confirmed was not delivered. Returns what that is about, as `outcome`:
-- `failed` a part of an ended turn, `waits` a part of a turn that has not ended, `notice` a notice, `known` one of these
-- again, and `unknown` an id that is not ours, or not yet: then the report is remembered, and the caller asks once more,
-- because the send may have been settled in the meantime by a transaction that did not see it.
CREATE OR REPLACE FUNCTION majlis_fail_later(p_instance text, p_message_id text, p_reason text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_part majlis_outbox;
    v_turn majlis_turns;
    v_notice majlis_notices;
    v_outcome text;
BEGIN
    SELECT o.* INTO v_part FROM majlis_outbox o JOIN majlis_turns t ON t.id = o.turn_id
    WHERE o.gateway_message_id = p_message_id AND t.instance = p_instance LIMIT 1;
    IF FOUND THEN
        -- Its state is read under the lock, which every step of the turn takes first.
        SELECT * INTO v_turn FROM majlis_turns WHERE id = v_part.turn_id FOR NO KEY UPDATE;
        SELECT * INTO v_part FROM majlis_outbox WHERE turn_id = v_part.turn_id AND part = v_part.part;
        IF v_part.state = 'failed_later' THEN
            v_outcome := 'known';
        ELSE
            INSERT INTO majlis_later_failures (instance, message_id, reason)
            VALUES (p_instance, p_message_id, p_reason) ON CONFLICT DO NOTHING;
            IF v_turn.state NOT IN ('started', 'answered') THEN
                v_outcome := 'failed';
                PERFORM majlis_apply_failures(v_turn);
            ELSIF FOUND THEN
                v_outcome := 'waits';
            ELSE
                v_outcome := 'known';
            END IF;
        END IF;
        RETURN jsonb_build_object('outcome', v_outcome, 'conversation_key', v_turn.conversation_key,
                                  'turn', v_turn.id, 'part', v_part.part);
    END IF;
    SELECT * INTO v_notice FROM majlis_notices
    WHERE instance = p_instance AND gateway_message_id = p_message_id FOR NO KEY UPDATE;
    IF FOUND THEN
        UPDATE majlis_notices SET sent_at = NULL, given_up_at = now(), reason = p_reason
        WHERE id = v_notice.id AND sent_at IS NOT NULL;
        v_outcome := CASE WHEN FOUND THEN 'notice' ELSE 'known' END;
        DELETE FROM majlis_later_failures WHERE instance = p_instance AND message_id = p_message_id;
        RETURN jsonb_build_object('outcome', v_outcome, 'notice', v_notice.id, 'tries', v_notice.tries);
    END IF;
    DELETE FROM majlis_later_failures WHERE at < now() - interval '1 day';
    -- Other software may send through the same instance: its failures must not fill the table.
    INSERT INTO majlis_later_failures (instance, message_id, reason)
    SELECT p_instance, p_message_id, p_reason
    WHERE (SELECT count(*) FROM majlis_later_failures) < 10000
    ON CONFLICT DO NOTHING;
    RETURN jsonb_build_object('outcome', 'unknown');
END $$;

-- A turn ends: what was remembered about its parts counts now.
CREATE OR REPLACE FUNCTION majlis_turn_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM majlis_later_failures) THEN
        PERFORM majlis_apply_failures(NEW);
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_turn_ended ON majlis_turns;
CREATE TRIGGER majlis_turn_ended AFTER UPDATE OF state ON majlis_turns FOR EACH ROW
    WHEN (OLD.state IN ('started', 'answered') AND NEW.state IN ('done', 'dead'))
    EXECUTE FUNCTION majlis_turn_ended();

-- A fact about a part of a turn that has ended: what was remembered about its message counts now.
CREATE OR REPLACE FUNCTION majlis_part_proven() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns;
BEGIN
    IF EXISTS (SELECT FROM majlis_later_failures) THEN
        SELECT * INTO v_turn FROM majlis_turns WHERE id = NEW.turn_id AND state NOT IN ('started', 'answered');
        IF FOUND THEN
            PERFORM majlis_apply_failures(v_turn);
        END IF;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_part_proven ON majlis_outbox;
CREATE TRIGGER majlis_part_proven AFTER UPDATE OF state ON majlis_outbox FOR EACH ROW
    WHEN (OLD.state <> 'sent' AND NEW.state = 'sent')
    EXECUTE FUNCTION majlis_part_proven();

-- The outcome of such a send may be settled once more, by a call that is repeated: the later report stands.
CREATE OR REPLACE FUNCTION majlis_keep_failure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS majlis_keep_failure ON majlis_outbox;
CREATE TRIGGER majlis_keep_failure BEFORE UPDATE ON majlis_outbox FOR EACH ROW
    WHEN (OLD.state = 'failed_later' AND NEW.state <> 'failed_later')
    EXECUTE FUNCTION majlis_keep_failure();

-- A notice arrived at the gateway, under this id; it may have been reported as failed already.
CREATE OR REPLACE FUNCTION majlis_notice_sent(p_id bigint, p_message_id text) RETURNS void LANGUAGE sql AS $$
    UPDATE majlis_notices
    SET sent_at = now(), reason = NULL, tries = tries + 1, gateway_message_id = nullif(p_message_id, '')
    WHERE id = p_id AND sent_at IS NULL AND gateway_message_id IS NULL;
    UPDATE majlis_notices n SET sent_at = NULL, given_up_at = now(), reason = f.reason
    FROM majlis_later_failures f
    WHERE n.id = p_id AND n.sent_at IS NOT NULL AND f.instance = n.instance AND f.message_id = p_message_id
$$;

-- T5: finish the turn, as in 009. When it is repeated, a late failure may have made the turn a dead letter meanwhile: it was
-- finished all the same.
CREATE OR REPLACE FUNCTION majlis_finish_turn(p_turn bigint, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
BEGIN
    IF v_turn.state = 'done' OR v_turn.state = 'dead' AND EXISTS (
        SELECT FROM majlis_dead_letters WHERE turn_id = p_turn AND reason = 'failed_later'
    ) THEN
        RETURN;
    ELSIF v_turn.state = 'answered' AND v_turn.dead_reason <> '' THEN
        -- A daemon of the previous version may finish a fallback message: the dead letter is kept all the same.
        PERFORM majlis_bury_turn(p_turn, p_epoch, v_turn.dead_reason, v_turn.dead_detail);
        RETURN;
    ELSIF v_turn.state <> 'answered'
        OR EXISTS (SELECT FROM majlis_outbox WHERE turn_id = p_turn AND state <> 'sent') THEN
        PERFORM majlis_out_of_order(v_turn, 'be finished');
    END IF;
    UPDATE majlis_turns SET state = 'done', finished_at = now(), epoch = p_epoch WHERE id = p_turn;
    PERFORM majlis_store_replies(v_turn);
    PERFORM majlis_record_interaction(v_turn);
END $$;
