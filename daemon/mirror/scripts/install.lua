-- Stamp an empty Redis as belonging to one installation. An existing stamp is never changed.
-- KEYS: {install}
-- ARGV: install id, partitions
-- Returns the stamp in force: { install id, partitions }

local stored = redis.call('HMGET', KEYS[1], 'install_id', 'partitions')
if stored[1] then
  return stored
end
redis.call('HSET', KEYS[1], 'install_id', ARGV[1], 'partitions', ARGV[2])
return { ARGV[1], ARGV[2] }
