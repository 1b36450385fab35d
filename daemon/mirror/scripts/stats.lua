-- Counts of one conversation, without its messages. Reads only.
-- KEYS: state
-- Returns { waiting, in the frozen batch, arrival of the oldest pending message or 0, now }

local state = read(KEYS[1])
local first = state.waiting > 0 and state.first or nil
local oldest = first and state.opened and math.min(first, state.opened) or first or state.opened or 0
return { state.waiting, state.batch and state.size or 0, oldest, clock() }
