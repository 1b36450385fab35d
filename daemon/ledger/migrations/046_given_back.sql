-- An instance whose webhook was given back is somebody else's to answer: its records are not compared until it is connected
-- again. So its row stays, without what stood at the gateway before.
ALTER TABLE majlis_connections ADD COLUMN IF NOT EXISTS given_back_at timestamptz;
