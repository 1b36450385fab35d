-- The memory of some more keys. Reads only.
-- KEYS: none: they are found
-- ARGV: cursor, pattern, how many
-- Returns { cursor, { key, bytes... } }

local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local sizes = {}
for _, key in ipairs(page[2]) do
  table.insert(sizes, key)
  table.insert(sizes, redis.call('MEMORY', 'USAGE', key) or 0)
end
return { page[1], sizes }
