-- Facts about sends. A step of a turn is an act: it needs the partition's epoch (majlis_fence). That the gateway accepted a
-- message, or that nothing of it left, is a fact: it is true whoever reports it, and no fence refuses it.

-- The tokens of the claims that `claimed_at` and `last_claimed_at` speak of. Unlike `claim_token`, which is there while the
-- claim is open, they are kept, so that a fact that comes late still finds its part.
ALTER TABLE majlis_outbox ADD COLUMN IF NOT EXISTS first_token text;
ALTER TABLE majlis_outbox ADD COLUMN IF NOT EXISTS last_token text;

-- `open_ago_ms` is the age of what the part waits for: of the claim while it is `sending`, of the outcome once that is
-- `unknown`. Ages are by this server's clock alone, and never negative: the clock may have been set back.
-- `claimed_ago_ms` is `open_ago_ms` under the name that a daemon of the version before reads. That version knows no part
-- that failed later (021), and to a turn such a part was sent.
CREATE OR REPLACE FUNCTION majlis_turn_view(p_turn bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', t.id, 'state', t.state, 'conversation_id', t.conversation_id, 'moved_to', t.moved_to, 'rule', t.rule,
        'origin', t.origin, 'dead_reason', t.dead_reason, 'dead_detail', t.dead_detail,
        'parts', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'number', o.part, 'text', o.text,
                'state', CASE o.state WHEN 'failed_later' THEN 'sent' ELSE o.state END,
                'resends', o.resends, 'may_resend', o.may_resend,
                'first_token', coalesce(o.first_token, ''), 'token', coalesce(o.last_token, ''),
                'claimed_at_ms', (extract(epoch FROM o.claimed_at) * 1000)::bigint,
                'first_claim_ago_ms', CASE WHEN o.claimed_at IS NOT NULL AND o.state <> 'sent' THEN
                    greatest(0, extract(epoch FROM clock_timestamp() - o.claimed_at) * 1000)::bigint END,
                'open_ago_ms', a.open_ago_ms, 'claimed_ago_ms', a.open_ago_ms)
                ORDER BY o.part)
            FROM majlis_outbox o
            CROSS JOIN LATERAL (
                SELECT CASE o.state
                    WHEN 'sending' THEN o.last_claimed_at
                    WHEN 'unknown' THEN greatest(o.last_claimed_at, o.settled_at)
                END AS since
            ) s
            CROSS JOIN LATERAL (
                SELECT CASE WHEN s.since IS NOT NULL
                    THEN greatest(0, extract(epoch FROM clock_timestamp() - s.since) * 1000)::bigint
                END AS open_ago_ms
            ) a
            WHERE o.turn_id = t.id), '[]'))
    FROM majlis_turns t WHERE t.id = p_turn
$$;

-- T3: claim a part before it is sent. Each claim has a new `p_token`, so that only a claim whose own reply was lost can be
-- repeated, and so that a fact can name the claim it speaks of.
CREATE OR REPLACE FUNCTION majlis_claim_part(
    p_turn bigint, p_epoch bigint, p_part integer, p_resend boolean, p_token text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_turn majlis_turns := majlis_hold_turn(p_turn, p_epoch);
    v_part majlis_outbox;
    v_resends integer;
BEGIN
    SELECT * INTO v_part FROM majlis_outbox WHERE turn_id = p_turn AND part = p_part FOR NO KEY UPDATE;
    IF v_part.state = 'sending' AND v_part.claim_token = p_token THEN
        RETURN;
    END IF;
    v_resends := CASE
        WHEN v_part.state = 'pending' THEN v_part.resends
        WHEN v_part.state IN ('sending', 'unknown') AND p_resend AND v_part.may_resend AND v_part.resends = 0 THEN 1
    END;
    IF v_turn.state <> 'answered' OR v_resends IS NULL OR EXISTS (
        SELECT FROM majlis_outbox WHERE turn_id = p_turn AND part < p_part AND state <> 'sent'
    ) THEN
        RAISE EXCEPTION 'claim conflict' USING ERRCODE = 'MJ002';
    END IF;
    UPDATE majlis_outbox
    SET state = 'sending', claim_token = p_token, last_token = p_token, resends = v_resends, reason = NULL,
        last_claimed_at = now(),
        claimed_at = CASE WHEN v_resends > 0 THEN coalesce(claimed_at, now()) ELSE now() END,
        first_token = CASE WHEN v_resends > 0 THEN coalesce(first_token, p_token) ELSE p_token END
    WHERE turn_id = p_turn AND part = p_part;
END $$;

-- Record a fact: what became of the send under the claim `p_token`, `sent` or `not_sent`. It changes this part alone, never
-- its turn, which may have ended long ago. `sent` stands against everything that was recorded before it. `not_sent` ends
-- the very claim it names, while that is open, and says nothing about an earlier one. Returns whether the part is now as
-- the fact says; idempotent.
CREATE OR REPLACE FUNCTION majlis_prove(
    p_turn bigint, p_part integer, p_token text, p_outcome text, p_message_id text, p_reason text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_part majlis_outbox;
BEGIN
    -- The turn's row first, as each step does: a step that reads the parts and then ends the turn comes before or after.
    PERFORM FROM majlis_turns WHERE id = p_turn FOR NO KEY UPDATE;
    SELECT * INTO v_part FROM majlis_outbox WHERE turn_id = p_turn AND part = p_part FOR NO KEY UPDATE;
    IF p_token = '' OR p_token IS DISTINCT FROM v_part.last_token AND p_token IS DISTINCT FROM v_part.first_token THEN
        RETURN false;
    ELSIF p_outcome = 'sent' THEN
        UPDATE majlis_outbox
        SET state = 'sent', claim_token = NULL, reason = NULL, settled_at = now(),
            gateway_message_id = coalesce(nullif(p_message_id, ''), gateway_message_id)
        WHERE turn_id = p_turn AND part = p_part
          AND (state <> 'sent' OR gateway_message_id IS NULL AND p_message_id <> '');
        RETURN true;
    ELSIF v_part.state = 'sending' AND v_part.claim_token = p_token THEN
        UPDATE majlis_outbox
        SET state = 'pending', claim_token = NULL, reason = nullif(p_reason, ''), settled_at = now(),
            claimed_at = CASE WHEN resends > 0 THEN claimed_at END
        WHERE turn_id = p_turn AND part = p_part;
        RETURN true;
    END IF;
    RETURN v_part.state = 'pending';
END $$;
