-- End the frozen batch. Idempotent, and works when Redis is full.
-- KEYS: msg_queue state seen due active_queues processing_lock totals queue_stats processing_status
-- ARGV: conversation, epoch, batch number, outcome, name of the total, keep processed ms, keep ids ms, keep ids count
-- Returns { 'ok', snapshot } or { 'stale' }

if not fenced(KEYS[6], ARGV[2]) then
  return { 'stale' }
end
local queue, seen, now, state = KEYS[1], KEYS[3], clock(), read(KEYS[2])
if state.batch ~= tonumber(ARGV[3]) then
  return { 'ok', snapshot(queue, state, now) }
end

-- HDEL comes first: it frees memory, so that Redis accepts the rest of the script even when it is full.
redis.call('HDEL', KEYS[2], 'batch', 'lo', 'hi', 'size', 'why', 'tries', 'opened', 'frozen_at', 'retry_at', 'delay',
  'supersedes')
redis.call('HSET', KEYS[2], 'done', text(state.hi))
local ended = { batch = state.batch, size = state.size, tries = state.tries, opened = state.opened }
state.done, state.batch, state.hi, state.retry_at = state.hi, nil, nil, nil

local keep_processed, keep_ids = tonumber(ARGV[6]), tonumber(ARGV[7])
redis.call('XTRIM', queue, 'MINID', text(math.min(state.done + 1, now - keep_processed)))
redis.call('ZREMRANGEBYSCORE', seen, '-inf', text(math.min(state.done, now - keep_ids)))
-- The ids of messages that still wait are the newest ones and must stay, however many ids are kept.
redis.call('ZREMRANGEBYRANK', seen, 0, -(tonumber(ARGV[8]) + state.waiting + 1))
if state.waiting > 0 then
  redis.call('ZADD', KEYS[4], text(capped(state.deadline, state.window, now)), ARGV[1])
else  -- nothing is pending any more, so the keys may expire; the next append takes the expiry away
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('SREM', KEYS[5], ARGV[1])
  redis.call('PEXPIRE', queue, keep_processed)
  redis.call('PEXPIRE', KEYS[2], keep_ids)
  redis.call('PEXPIRE', seen, keep_ids)
end

redis.call('HINCRBY', KEYS[7], ARGV[5], ended.size)
redis.call('HINCRBY', KEYS[8], 'batches', 1)
redis.call('HINCRBY', KEYS[8], 'messages', ended.size)
redis.call('EXPIRE', KEYS[8], 3600)
redis.call('HSET', KEYS[9], 'fate', ARGV[4], 'batch', text(ended.batch), 'size', ended.size, 'tries', ended.tries,
  'opened', text(ended.opened), 'ended', text(now))
redis.call('EXPIRE', KEYS[9], 3600)
return { 'ok', snapshot(queue, state, now) }
