-- What Redis says of itself, whose data it holds, and whether it takes writes: one question in place of three.
-- KEYS: {install}
-- Returns { INFO, install id, partitions, why it takes no writes or '' }

local stamp = redis.call('HMGET', KEYS[1], 'install_id', 'partitions')
-- Removes nothing, and is refused whenever Redis takes no writes.
local written = redis.pcall('HDEL', KEYS[1], 'nothing')
return { redis.call('INFO'), stamp[1], stamp[2], type(written) == 'table' and written.err or '' }
