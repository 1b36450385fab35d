-- Freeze the oldest waiting messages into a batch, or return the unfinished batch unchanged.
-- KEYS: msg_queue state due processing_lock
-- ARGV: conversation, epoch, why, max batch, alarm ms, window ms, max messages,
--       an album counts as one message 0|1, the most ms after the first message as for append, or ''
-- Returns { 'batch', number, lo, hi, why, tries, opened, frozen at, entries } or { 'empty' }, where nothing waits or it is not
-- time yet, or { 'stale' }

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
  return { 'batch', state.batch, state.lo, state.hi, state.why, state.tries, state.opened, state.frozen_at, entries }
end
if state.waiting == 0 then
  return { 'empty' }
end

-- Another daemon may have stored what moved the end: its owner has not heard of it.
if ARGV[3] == 'quiet' and state.deadline and capped(state.deadline, state.window, now) > now then
  return { 'empty' }
end

local entries = redis.call('XRANGE', queue, text(state.done + 1), '+', 'COUNT', ARGV[4])
local lo, hi = tonumber(string.match(entries[1][1], '^%d+')), tonumber(string.match(entries[#entries][1], '^%d+'))
local number = math.max((state.number or 0) + 1, now)
local window, longest = tonumber(ARGV[6]), tonumber(ARGV[9])
local bytes = state.bytes or 0
for _, entry in ipairs(entries) do
  bytes = bytes - #entry[2][2]
end
local behind = redis.call('XRANGE', queue, text(hi + 1), '+')
local rest = behind[1]
-- If the state was lost, the queue holds more than was counted. Never let the count drop below what is really left.
local left = rest and math.max(1, state.waiting - #entries) or 0

redis.call('HDEL', KEYS[2], 'first', 'deadline', 'window', 'quiet', 'albums')
redis.call('HSET', KEYS[2], 'batch', text(number), 'number', text(number), 'lo', text(lo), 'hi', text(hi),
  'size', #entries, 'why', ARGV[3], 'tries', 0, 'opened', text(state.first), 'frozen_at', text(now), 'waiting', left,
  'bytes', math.max(bytes, 0))
if rest then  -- more waits than fits into one batch: it opens a window of its own, from its first message that counts
  local left_behind, first, last = {}, nil, nil
  for _, entry in ipairs(behind) do
    if counts(left_behind, entry[2][2], ARGV[8] == '1') then
      first = first or tonumber(entry[2][4])
    end
    if longest and speaks(entry[2][2]) then
      last = math.max(last or 0, tonumber(entry[2][4]))
    end
  end
  first = first or tonumber(rest[2][4])
  local deadline = capped(last and math.min(last + window, first + longest) or first + window, window, now)
  if left - (left_behind.quiet or 0) >= tonumber(ARGV[7]) then
    deadline = math.min(deadline, now)
  end
  redis.call('HSET', KEYS[2], 'first', text(first), 'deadline', text(deadline), 'window', window,
    'quiet', left_behind.quiet or 0, 'albums', left_behind.albums or '')
end
redis.call('ZADD', KEYS[3], text(alarm), ARGV[1])
return { 'batch', number, lo, hi, ARGV[3], 0, state.first, now, entries }
