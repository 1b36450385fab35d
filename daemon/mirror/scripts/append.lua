-- Store one message, once. Any daemon may call it, not only the owner of the partition.
-- KEYS: msg_queue state seen due active_queues totals processing_lock
-- ARGV: conversation, message id, payload, window ms, max messages, max waiting, arrival ms or '', name of the total,
--       an album counts as one message 0|1, and for a window that lasts until nothing more is said, the most ms after its
--       first message, else ''
-- Returns { 'new' | 'dup', seq, at, deadline, now, waiting, frozen 0|1 } or { 'full' } or { 'foreign' }

if not epoch_of(KEYS[7]) then
  return { 'foreign' }
end
local queue, seen, window, longest = KEYS[1], KEYS[3], tonumber(ARGV[4]), tonumber(ARGV[10])
local now, state = clock(), read(KEYS[2])
local waiting, frozen = state.waiting, state.batch and 1 or 0

-- A known id is a duplicate: answer with what was stored. The entry itself may have been trimmed; then the sequence
-- number, which is time-like, stands in for the arrival time.
local known = tonumber(redis.call('ZSCORE', seen, ARGV[2]) or nil)
if known then
  local entry = redis.call('XRANGE', queue, text(known), text(known))[1]
  local at = entry and tonumber(entry[2][4]) or known
  local deadline = waiting > 0 and capped(state.deadline, state.window, now) or now
  return { 'dup', known, at, deadline, now, waiting, frozen }
end
local bytes = #ARGV[3] + (waiting > 0 and state.bytes or 0)
if waiting >= tonumber(ARGV[6]) or (waiting > 0 and bytes > MAX_WAITING_BYTES) then
  return { 'full' }
end

local seq = math.max(state.seq + 1, now)
-- A message moved from another conversation keeps its earlier arrival time, and may shorten a window here that counts
-- from its first message.
local arrival = tonumber(ARGV[7])
local at = math.min(arrival or now, now)
local first, deadline = state.first, state.deadline
local quiet, albums = state.quiet, state.albums
if waiting == 0 then  -- the version before leaves these behind
  state.quiet, state.albums = nil, nil
end
local none_counted = waiting <= (state.quiet or 0)
local does_count = counts(state, ARGV[3], ARGV[9] == '1')
-- An aside arms a window as any message does. The first message that counts is heard out all the same.
if waiting == 0 or (none_counted and does_count) then
  first, deadline, state.window = at, at + window, window
elseif longest and speaks(ARGV[3]) then
  first, state.window = math.min(first, at), window
  deadline = math.min(arrival and math.max(deadline, at + window) or at + window, first + longest)
elseif arrival then
  first, deadline = math.min(first, at), math.min(deadline, at + window)
end
waiting = waiting + 1
if waiting - (state.quiet or 0) >= tonumber(ARGV[5]) then
  deadline = math.min(deadline, now)
end
deadline = capped(deadline, state.window, now)

local number = text(seq)
redis.call('XADD', queue, number .. '-0', 'm', ARGV[3], 'at', text(at))
redis.call('ZADD', seen, number, ARGV[2])
redis.call('HINCRBY', KEYS[6], ARGV[8], 1)
if state.quiet ~= quiet or state.albums ~= albums then
  redis.call('HSET', KEYS[2], 'quiet', state.quiet or 0, 'albums', state.albums or '')
end
-- The window is unchanged, as for most messages of a burst: nothing but the counters needs writing.
if deadline == state.deadline and first == state.first then
  redis.call('HSET', KEYS[2], 'seq', number, 'waiting', waiting, 'bytes', bytes)
  return { 'new', seq, at, deadline, now, waiting, frozen }
end
redis.call('HSET', KEYS[2], 'seq', number, 'waiting', waiting, 'bytes', bytes, 'first', text(first), 'deadline', text(deadline),
  'window', state.window)
-- While a batch is frozen, `due` holds that batch's retry or alarm; commit puts the next window there.
if frozen == 0 then
  redis.call('ZADD', KEYS[4], text(deadline), ARGV[1])
  if waiting == 1 then  -- the last commit gave these keys an expiry
    redis.call('PERSIST', queue)
    redis.call('PERSIST', KEYS[2])
    redis.call('PERSIST', seen)
    redis.call('SADD', KEYS[5], ARGV[1])
  end
end
return { 'new', seq, at, deadline, now, waiting, frozen }
