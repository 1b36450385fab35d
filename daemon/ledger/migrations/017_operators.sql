-- Decisions of operators that survive a restart: pauses, and dropped dead letters.

-- As long as a row is in force, no turn of the instance begins; '' means every instance. `until` NULL: until resumed.
CREATE TABLE IF NOT EXISTS majlis_pauses (
    instance   text PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    until      timestamptz
);

-- A dropped dead letter is kept, but is not open any more.
ALTER TABLE majlis_dead_letters ADD COLUMN IF NOT EXISTS dropped_at timestamptz;
