-- What each table takes at the first look of each day (UTC): how much it grows is known by that.

CREATE TABLE IF NOT EXISTS majlis_sizes (
    day   date NOT NULL,
    name  text NOT NULL,
    bytes bigint NOT NULL,
    at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, name)
);
