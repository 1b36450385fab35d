-- Conversations that are due: their window ends, a retry is due, or a batch in flight raised its alarm. Reads only.
-- KEYS: due processing_lock of each partition, and the counter of changes last, if it is asked for
-- ARGV: within ms or '', limit, where the first partition goes on: score or '', and how many of this score are known,
--       then the epoch of each partition
-- Due `within` the last ms; '': all that is overdue.
-- Returns { changes, { partition that is not held under its epoch... }, where to go on, { conversation... } }
-- Partitions are numbered as given, from 0. Where to go on: { partition, score, how many of this score } or {}.

local now, left = clock(), tonumber(ARGV[2])
local lowest = ARGV[1] == '' and '-inf' or text(now - tonumber(ARGV[1]))
local stale, rest, found = {}, {}, {}
for number = 0, math.floor(#KEYS / 2) - 1 do
  local due = KEYS[2 * number + 1]
  if not fenced(KEYS[2 * number + 2], ARGV[number + 5]) then
    table.insert(stale, number)
  elseif left > 0 then
    local goes_on = number == 0 and ARGV[3] ~= ''
    local from, skip = goes_on and ARGV[3] or lowest, goes_on and tonumber(ARGV[4]) or 0
    local page = redis.call('ZRANGEBYSCORE', due, from, text(now), 'WITHSCORES', 'LIMIT', skip, left)
    for i = 1, #page, 2 do
      table.insert(found, page[i])
    end
    left = left - #page / 2
    if left == 0 then
      local last, ties, i = page[#page], 0, #page
      while i > 0 and page[i] == last do
        ties, i = ties + 1, i - 2
      end
      rest = { number, last, i <= 0 and goes_on and last == from and ties + skip or ties }
    end
  end
end
local changes = #KEYS % 2 == 1 and redis.call('GET', KEYS[#KEYS])
return { changes, stale, rest, found }
