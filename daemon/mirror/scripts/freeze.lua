-- Freeze the oldest waiting messages into a batch, or return the unfinished batch unchanged.
-- KEYS: msg_queue state due processing_lock
-- ARGV: conversation, epoch, why, max batch, alarm ms, window ms, max messages,
--       an album counts as one message 0|1, the most ms after the first message as for append, or ''
-- Returns { 'batch', number, lo, hi, why, tries, opened, frozen at, entries, supersedes } or { 'empty' }, where nothing waits
-- or it is not time yet, or { 'stale' }

if not fenced(KEYS[4], ARGV[2]) then
  return { 'stale' }
end
local queue, now, state = KEYS[1], clock(), read(KEYS[2])
-- If the batch was neither deferred nor committed by then, the conversation becomes due again.
local alarm = now + tonumber(ARGV[5])

if state.batch then
  local entries = redis.call('XRANGE', queue, text(state.lo), text(state.hi))
  redis.call('HDEL', KEYS[2], 'retry_at', 'delay')
  redis.call('ZADD', KEYS[3], text(alarm), ARGV[1])
  return batch_of(state, entries)
end
if state.waiting == 0 then
  return { 'empty' }
end

-- Another daemon may have stored what moved the end: its owner has not heard of it. An end further away than the window is
-- long was stored before the clock was set back: the owner's own clock has seen it pass.
local left = (state.deadline or now) - now
if ARGV[3] == 'quiet' and left > 0 and left <= (state.window or 0) then
  return { 'empty' }
end

local entries = redis.call('XRANGE', queue, text(state.done + 1), '+', 'COUNT', ARGV[4])
local lo, hi = tonumber(string.match(entries[1][1], '^%d+')), tonumber(string.match(entries[#entries][1], '^%d+'))
local number = math.max((state.number or 0) + 1, now)
local bytes = state.bytes or 0
for _, entry in ipairs(entries) do
  bytes = bytes - #entry[2][2]
end

leave_behind(queue, KEYS[2], hi, state.waiting - #entries, bytes, now, policy_at(6))
redis.call('HSET', KEYS[2], 'batch', text(number), 'number', text(number), 'lo', text(lo), 'hi', text(hi),
  'size', #entries, 'why', ARGV[3], 'tries', 0, 'opened', text(state.first), 'frozen_at', text(now), 'supersedes', 0)
redis.call('ZADD', KEYS[3], text(alarm), ARGV[1])
return { 'batch', number, lo, hi, ARGV[3], 0, state.first, now, entries, 0 }
