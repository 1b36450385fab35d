-- Conversations that may have been forgotten: pending without a due time, or long overdue. Reads only.
-- Of a large partition a random sample is examined; one that is not held under its epoch is left alone.
-- KEYS: due active_queues processing_lock of each partition
-- ARGV: grace ms, limit for each partition, then the epoch of each partition
-- Returns { conversation... }

local long_ago, found = text(clock() - tonumber(ARGV[1])), {}
for number = 0, #KEYS / 3 - 1 do
  local due, active, lock = KEYS[3 * number + 1], KEYS[3 * number + 2], KEYS[3 * number + 3]
  if fenced(lock, ARGV[number + 3]) then
    for _, conversation in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', long_ago, 'LIMIT', 0, ARGV[2])) do
      table.insert(found, conversation)
    end
    for _, conversation in ipairs(redis.call('SRANDMEMBER', active, ARGV[2])) do
      if not redis.call('ZSCORE', due, conversation) then
        table.insert(found, conversation)
      end
    end
  end
end
return found
