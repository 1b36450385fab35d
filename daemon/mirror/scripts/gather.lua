-- The fields and values of each hash. Reads only.
-- KEYS: hashes
-- Returns { { field, value... }... }

local found = {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('HGETALL', key)
end
return found
