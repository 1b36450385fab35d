-- What was ever acknowledged and how it ended, summed. Reads only.
-- KEYS: totals of each partition

local NAMES = { 'acknowledged', 'answered', 'suppressed', 'dead', 'moved_in', 'moved_out' }
local totals = { 0, 0, 0, 0, 0, 0 }
for _, key in ipairs(KEYS) do
  for i, total in ipairs(redis.call('HMGET', key, unpack(NAMES))) do
    totals[i] = totals[i] + (tonumber(total or nil) or 0)
  end
end
return totals
