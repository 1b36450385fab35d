-- Retry the frozen batch later.
-- KEYS: state due processing_lock
-- ARGV: conversation, epoch, batch number, delay ms, counts as an attempt 0|1
-- Returns { 'ok', retry at } or { 'gone' } or { 'stale' }

if not fenced(KEYS[3], ARGV[2]) then
  return { 'stale' }
end
local now, state = clock(), read(KEYS[1])
if state.batch ~= tonumber(ARGV[3]) then
  return { 'gone' }
end
local retry_at = now + tonumber(ARGV[4])
redis.call('HDEL', KEYS[1], 'retry_at')  -- a write that frees memory first, so that this works when Redis is full
redis.call('HSET', KEYS[1], 'retry_at', text(retry_at), 'delay', ARGV[4], 'tries', state.tries + tonumber(ARGV[5]))
redis.call('ZADD', KEYS[2], text(retry_at), ARGV[1])
return { 'ok', retry_at }
