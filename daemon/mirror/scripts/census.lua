-- Counts of what was ever acknowledged and of what is pending now, without a message. Reads only.
-- KEYS: totals active_queues of each partition
-- ARGV: the most conversations to look at, unless one partition has more
-- Returns { partitions counted, now, conversations, waiting, in frozen batches, oldest pending arrival or 0, total... }

local NAMES = { 'acknowledged', 'answered', 'suppressed', 'dead', 'moved_in', 'moved_out' }
local totals, left, counted = { 0, 0, 0, 0, 0, 0 }, tonumber(ARGV[1]), 0
local conversations, waiting, frozen, oldest = 0, 0, 0, 0
while left > 0 and counted < #KEYS / 2 do
  local active = KEYS[2 * counted + 2]
  for i, total in ipairs(redis.call('HMGET', KEYS[2 * counted + 1], unpack(NAMES))) do
    totals[i] = totals[i] + (tonumber(total or nil) or 0)
  end
  local states = string.gsub(active, 'active_queues$', 'state:')
  for _, conversation in ipairs(redis.call('SMEMBERS', active)) do
    local state = redis.call('HMGET', states .. conversation, 'waiting', 'batch', 'size', 'first', 'opened')
    local waits, held = tonumber(state[1] or nil) or 0, state[2] and tonumber(state[3] or nil) or 0
    local first, opened = waits > 0 and tonumber(state[4] or nil), tonumber(state[5] or nil)
    local since = first and opened and math.min(first, opened) or first or opened
    if waits > 0 or held > 0 then
      conversations = conversations + 1
    end
    waiting, frozen = waiting + waits, frozen + held
    if since and (oldest == 0 or since < oldest) then
      oldest = since
    end
    left = left - 1
  end
  counted = counted + 1
end
return { counted, clock(), conversations, waiting, frozen, oldest, unpack(totals) }
