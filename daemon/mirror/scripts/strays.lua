-- Conversations of one partition that may have been forgotten: pending without a due time, or long overdue. Reads only.
-- Of a large partition a random sample is examined.
-- KEYS: due active_queues processing_lock
-- ARGV: epoch, grace ms, limit
-- Returns { 1, conversation... } or { 0 } when the epoch does not hold the partition

if not fenced(KEYS[3], ARGV[1]) then
  return { 0 }
end
local long_ago = text(clock() - tonumber(ARGV[2]))
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', long_ago, 'LIMIT', 0, ARGV[3])
table.insert(found, 1, 1)
for _, conversation in ipairs(redis.call('SRANDMEMBER', KEYS[2], ARGV[3])) do
  if not redis.call('ZSCORE', KEYS[1], conversation) then
    table.insert(found, conversation)
  end
end
return found
