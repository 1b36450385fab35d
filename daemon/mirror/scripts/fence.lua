-- Take the partition under an epoch; an older epoch is told which one holds.
-- KEYS: processing_lock
-- ARGV: epoch, owner
-- Returns { 1 taken | 0 stale, epoch that holds }

local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or nil) or 0
local epoch = tonumber(ARGV[1])
if epoch < stored then
  return { 0, stored }
end
redis.call('HDEL', KEYS[1], 'owner')
redis.call('HSET', KEYS[1], 'epoch', text(epoch), 'owner', ARGV[2])
return { 1, epoch }
