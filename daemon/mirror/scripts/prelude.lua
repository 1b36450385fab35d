-- Prepended to every script. All times are milliseconds of this Redis server's clock.
--
-- Invariants:
--   1. Everything is checked before the first write, and no write runs under pcall: a script happens entirely or not at
--      all.
--   2. Sequence numbers and batch numbers are max(last + 1, now). They grow even if the clock steps back or the state was
--      lost, they are never reused, and being time-like they serve as stream ids and as scores.
--   3. When Redis is full, append must be refused entirely (its first write allocates memory) and every other script must
--      work: its first write frees memory, and once a script has written, Redis lets it finish.
--   4. A batch is frozen if and only if the state has `batch`.
--   5. Nothing is stored, answered or claimed in a partition whose lock does not name this installation: a Redis that
--      was flushed or that belongs to another one is refused by the script itself, not by a check before it.

-- Every call ends with the id of the caller's installation.
local INSTALLATION = ARGV[#ARGV]

-- The most bytes that may wait in one conversation, so that a conversation can always be loaded in one reply.
local MAX_WAITING_BYTES = 4 * 1024 * 1024

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Lua's own tostring would turn large numbers into exponents.
local function text(number)
  return string.format('%.0f', number)
end

local function read(key)
  local flat, state = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    state[flat[i]] = tonumber(flat[i + 1]) or flat[i + 1]
  end
  state.seq, state.done, state.waiting = state.seq or 0, state.done or 0, state.waiting or 0
  return state
end

-- The epoch of a lock, '' if nobody fenced it yet; nil if the lock is missing or names another installation.
local function epoch_of(lock)
  local epoch, installation = unpack(redis.call('HMGET', lock, 'epoch', 'install'))
  -- The version before wrote an epoch alone: that is accepted until the partition is fenced anew.
  if installation == INSTALLATION or (epoch and not installation) then
    return epoch or ''
  end
end

local function fenced(lock, epoch)
  return epoch_of(lock) == epoch
end

-- A stored time is never further away than when it was stored, even if the clock stepped back since.
local function capped(at, length, now)
  return math.min(at, now + (length or 0))
end

-- { now, deadline or 0, number of the frozen batch or 0, retry_at or 0, entries waiting }
local function snapshot(queue, state, now)
  local deadline, retry_at, entries = 0, 0, {}
  if state.waiting > 0 then
    deadline = capped(state.deadline, state.window, now)
    entries = redis.call('XRANGE', queue, text((state.hi or state.done) + 1), '+')
  end
  if state.retry_at then
    retry_at = capped(state.retry_at, state.delay, now)
  end
  return { now, deadline, state.batch or 0, retry_at, entries }
end

-- What the window counts: `actors/window.py` does the same from the messages themselves. `state.quiet` waiting entries do not
-- count; no field: none. `state.albums` holds the ids of the albums that wait, each in quotes. An entry is read as text, not
-- decoded: that cannot fail. A quote inside a value is escaped, so none of these patterns is found in what somebody wrote.
local function album_of(payload)
  return string.match(payload, '"album":("[^"]*")')
end

local function speaks(payload)
  return not (string.find(payload, '"aside":"', 1, true) or string.find(payload, '"amends":"', 1, true))
end

-- Whether an entry counts, behind those that `state` tells of; it is told of it too.
local function counts(state, payload, with_albums)
  local quiet = not speaks(payload)
  local album = not quiet and with_albums and album_of(payload)
  if album then
    quiet = string.find(state.albums or '', album, 1, true)
    if not quiet then
      state.albums = (state.albums or '') .. album
    end
  end
  if quiet then
    state.quiet = (state.quiet or 0) + 1
  end
  return not quiet
end
