-- The current state of one conversation. Reads only.
-- KEYS: msg_queue state
-- Returns a snapshot

return snapshot(KEYS[1], read(KEYS[2]), clock())
