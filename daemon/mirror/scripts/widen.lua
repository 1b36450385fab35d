-- Take into the frozen batch what waits behind it: its turn was superseded. `actors/superseding.py` says what joins: up to
-- the first edit or deletion. Idempotent: only a batch that ends at the expected place is widened. That counts also if nothing
-- fits, or it would be tried for ever.
-- KEYS: msg_queue state due processing_lock
-- ARGV: conversation, epoch, number, expected hi, max batch, alarm ms, and the policy as for `freeze`
-- Returns a batch as `freeze` does, or { 'gone' } or { 'stale' }

if not fenced(KEYS[4], ARGV[2]) then
  return { 'stale' }
end
local queue, now, state = KEYS[1], clock(), read(KEYS[2])
if state.batch ~= tonumber(ARGV[3]) then
  return { 'gone' }
end
local entries = redis.call('XRANGE', queue, text(state.lo), text(state.hi))
redis.call('HDEL', KEYS[2], 'retry_at', 'delay')  -- counts as a write that frees memory, so that this works when Redis is full

if state.hi == tonumber(ARGV[4]) then
  local room, size, bytes, hi = tonumber(ARGV[5]) - state.size, 0, state.bytes or 0, state.hi
  for _, entry in ipairs(entries) do
    size = size + #entry[2][2]
  end
  local behind = room > 0 and redis.call('XRANGE', queue, text(hi + 1), '+', 'COUNT', room) or {}
  local joined = 0
  for _, entry in ipairs(behind) do
    local payload = entry[2][2]
    size = size + #payload
    if size > MAX_WAITING_BYTES or string.find(payload, '"amends":"', 1, true) then
      break
    end
    table.insert(entries, entry)
    joined, bytes, hi = joined + 1, bytes - #payload, tonumber(string.match(entry[1], '^%d+'))
  end
  if joined > 0 then
    leave_behind(queue, KEYS[2], hi, state.waiting - joined, bytes, now, policy_at(7))
  end
  state.hi, state.supersedes = hi, (state.supersedes or 0) + 1
  redis.call('HSET', KEYS[2], 'hi', text(hi), 'size', state.size + joined, 'supersedes', state.supersedes)
end
redis.call('ZADD', KEYS[3], text(now + tonumber(ARGV[6])), ARGV[1])
return batch_of(state, entries)
