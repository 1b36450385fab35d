-- Claim the partition under an epoch. Refused if a higher epoch holds it, or if its lock is not this installation's:
-- locks are made with the stamp, so one that is missing was lost, and with it what waited.
-- KEYS: processing_lock
-- ARGV: epoch, owner
-- Returns { 1 claimed | 0 stale, the epoch that holds it } or { 'foreign' }

local found = epoch_of(KEYS[1])
if not found then
  return { 'foreign' }
end
local stored = tonumber(found) or 0
local epoch = tonumber(ARGV[1])
if epoch < stored then
  return { 0, stored }
end
redis.call('HDEL', KEYS[1], 'owner')  -- frees memory first, so that this works when Redis is full
redis.call('HSET', KEYS[1], 'epoch', text(epoch), 'owner', ARGV[2], 'install', INSTALLATION)
return { 1, epoch }
