-- Conversations that are due: their window ends, a retry is due, or a batch in flight raised its alarm.
-- KEYS: due processing_lock
-- ARGV: epoch, limit
-- Returns { 1, conversation... } or { 0 } when the epoch does not hold the partition

if not fenced(KEYS[2], ARGV[1]) then
  return { 0 }
end
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(clock()), 'LIMIT', 0, ARGV[2])
table.insert(found, 1, 1)
return found
