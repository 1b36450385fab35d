-- Each step of a turn changes its row on the page where it is (HOT), and the log gets what changed and no more.

-- A page holds three turns and what two of them become, also while many run at once.
ALTER TABLE majlis_turns SET (fillfactor = 50);

-- What an update writes to the log goes from the first column that it changes to the last. So what the steps change comes
-- last: behind the messages, which never change. Where few turns are stored, the columns are put there; the table of a
-- database in use stays as it is, for its rows would all be written anew.
DO $$
BEGIN
    LOCK TABLE majlis_turns IN ACCESS EXCLUSIVE MODE;
    IF (SELECT count(*) FROM (SELECT FROM majlis_turns LIMIT 10001) few) > 10000 OR EXISTS (
        SELECT FROM pg_attribute s JOIN pg_attribute m ON m.attrelid = s.attrelid AND m.attname = 'messages'
        WHERE s.attrelid = 'majlis_turns'::regclass AND s.attname = 'state' AND s.attnum > m.attnum
    ) THEN
        RETURN;
    END IF;
    DROP TRIGGER IF EXISTS majlis_turn_opened ON majlis_turns;
    DROP TRIGGER IF EXISTS majlis_turn_closed ON majlis_turns;
    DROP TRIGGER IF EXISTS majlis_turn_ended ON majlis_turns;
    ALTER TABLE majlis_turns ADD COLUMN new_finished_at timestamptz, ADD COLUMN new_state text NOT NULL DEFAULT 'started';
    UPDATE majlis_turns SET new_finished_at = finished_at, new_state = state;
    ALTER TABLE majlis_turns DROP COLUMN finished_at, DROP COLUMN state;
    ALTER TABLE majlis_turns RENAME COLUMN new_finished_at TO finished_at;
    ALTER TABLE majlis_turns RENAME COLUMN new_state TO state;
    ALTER TABLE majlis_turns ADD CONSTRAINT majlis_turns_state_check
        CHECK (state IN ('started', 'answered', 'done', 'suppressed', 'dead', 'moved'));
    CREATE TRIGGER majlis_turn_opened AFTER INSERT ON majlis_turns
        FOR EACH ROW WHEN (NEW.state IN ('started', 'answered')) EXECUTE FUNCTION majlis_turn_opened();
    CREATE TRIGGER majlis_turn_closed AFTER UPDATE OF state ON majlis_turns
        FOR EACH ROW WHEN (OLD.state IN ('started', 'answered') AND NEW.state NOT IN ('started', 'answered'))
        EXECUTE FUNCTION majlis_turn_closed();
    CREATE TRIGGER majlis_turn_ended AFTER UPDATE OF state ON majlis_turns FOR EACH ROW
        WHEN (OLD.state IN ('started', 'answered') AND NEW.state IN ('done', 'dead'))
        EXECUTE FUNCTION majlis_turn_ended();
END $$;
