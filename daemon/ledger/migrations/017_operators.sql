-- What operators decide and what outlives a restart: pauses, and dead letters that nobody will answer any more.

-- For as long as a row stands, no turn of the instance begins; '' stands for every instance. No `until`: until resumed.
CREATE TABLE IF NOT EXISTS majlis_pauses (
    instance   text PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    until      timestamptz
);

-- A letter that was dropped is kept, and is not open any more.
ALTER TABLE majlis_dead_letters ADD COLUMN IF NOT EXISTS dropped_at timestamptz;
