-- Claim the partition under an epoch. Refused if a higher epoch holds it.
-- KEYS: processing_lock
-- ARGV: epoch, owner
-- Returns { 1 claimed | 0 stale, the epoch that holds it }

local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or nil) or 0
local epoch = tonumber(ARGV[1])
if epoch < stored then
  return { 0, stored }
end
redis.call('HDEL', KEYS[1], 'owner')  -- frees memory first, so that this works when Redis is full
redis.call('HSET', KEYS[1], 'epoch', text(epoch), 'owner', ARGV[2])
return { 1, epoch }
