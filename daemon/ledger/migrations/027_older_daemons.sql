-- Which daemons may work on a schema that is newer than they know. Migrations only add, so that the version before runs on
-- the tables of the next one: daemons are upgraded one after another, and there is a way back. A migration that ends this says
-- from which schema on a daemon still works: `UPDATE majlis_migrations SET daemons_from = N WHERE version = 1`.

ALTER TABLE majlis_migrations ADD COLUMN IF NOT EXISTS daemons_from integer NOT NULL DEFAULT 0;
