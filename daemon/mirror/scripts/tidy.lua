-- Remove a conversation with nothing pending from the active ones, where nothing else would ever remove it. Its keys get
-- the expiry that a commit would have given them. Idempotent. Messages whose state was lost count as pending: a queue
-- without an expiry holds messages that were acknowledged and not committed.
-- KEYS: msg_queue state seen due active_queues processing_lock
-- ARGV: conversation, epoch, keep processed ms, keep ids ms
-- Returns { 'tidied' } or { 'pending' } or { 'stale' }

if not fenced(KEYS[6], ARGV[2]) then
  return { 'stale' }
end
local state = read(KEYS[2])
local left = redis.call('XRANGE', KEYS[1], text(state.done + 1), '+', 'COUNT', 1)
if state.waiting > 0 or state.batch or (#left > 0 and redis.call('PTTL', KEYS[1]) == -1) then
  return { 'pending' }
end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
for i, keep in ipairs({ ARGV[3], ARGV[4], ARGV[4] }) do
  if redis.call('PTTL', KEYS[i]) == -1 then
    redis.call('PEXPIRE', KEYS[i], keep)
  end
end
return { 'tidied' }
