-- What the targets are measured by: when the window of a turn ended, and how much each daemon carried in each minute.

-- NULL: unknown (a turn of an older daemon), or not counted, because the turn had to wait for a gateway, a store or an operator.
-- New turns have it from a setting of their transaction: whatever inserts them need not know of it.
ALTER TABLE majlis_turns ADD COLUMN IF NOT EXISTS window_ended_at timestamptz;
ALTER TABLE majlis_turns ALTER COLUMN window_ended_at
    SET DEFAULT to_timestamp(nullif(current_setting('majlis.window_ended_ms', true), '')::numeric / 1000);

-- T1, with the end of the batch's window; of a batch that was held it is forgotten.
CREATE OR REPLACE FUNCTION majlis_begin_measured_turn(
    p_partition integer, p_epoch bigint, p_batch jsonb, p_link_numbers boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_held boolean := coalesce((p_batch ->> 'held')::boolean, false);
    v_turn jsonb;
BEGIN
    PERFORM set_config('majlis.window_ended_ms',
                       CASE WHEN v_held THEN '' ELSE coalesce(p_batch ->> 'window_ended_ms', '') END, true);
    v_turn := majlis_open_turn(p_partition, p_epoch, p_batch, p_link_numbers);
    IF v_held THEN
        UPDATE majlis_turns SET window_ended_at = NULL
        WHERE id = (v_turn ->> 'id')::bigint AND window_ended_at IS NOT NULL;
    END IF;
    RETURN v_turn;
END $$;

-- One row for each daemon and minute in which there was anything. `conversations`: the most that were at work at once;
-- `turned_away`: webhooks that were answered 503 because of the load.
CREATE TABLE IF NOT EXISTS majlis_minutes (
    minute        timestamptz NOT NULL,
    node_id       text NOT NULL,
    conversations integer NOT NULL,
    messages      integer NOT NULL,
    turned_away   integer NOT NULL,
    PRIMARY KEY (minute, node_id)
);
