-- Writes the rows of one batch if every row that the batch names is still as it was judged on.
--
-- KEYS: schema, turn, sequence, rewritten, changes, due, closed; then the named rows: accounts,
--       then rate states, then holds.
-- ARGV: schema version, own turn or '', length of the ledger's prefix, how many milliseconds rate
--       states live; how many milliseconds the own turn lasts where it begins here, or 0; how many
--       rows are accounts and how many rate states; length of the version that new values begin
--       with, how many rows are written or go; then for each named row the version that it must
--       have, '' for a row that must be missing; then for each its new value, '' where it stays,
--       '-' where it goes.
--
-- Answers 'written', or 'ended' where the own turn has ended with what was written; or having
-- written nothing: 'schema' where the ledger has another one, 'turn' where another process has its
-- turn, or the values of all named rows where one is not as expected.
--
-- Amounts and instants stay strings throughout: Lua's numbers are doubles, exact to 2^53 only.
-- Other callers wait while this runs, so what it does for each row is little: no pattern is matched
-- where a position is known, and no string is made that is not stored.

local KEYS, ARGV = KEYS, ARGV
local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local FIXED = 7
local AT_ONCE = 4000 -- What Lua's stack has room for, with room to spare.
local SPACE = 32

local rows = #KEYS - FIXED
local prefix_length = tonumber(ARGV[3])
local turn_ms = tonumber(ARGV[5])
local last_account = tonumber(ARGV[6])
local last_rate = last_account + tonumber(ARGV[7])
local version_length, writes = tonumber(ARGV[8]), tonumber(ARGV[9])
-- Where in ARGV the expected versions and the new values are, less the number of their row.
local EXPECTED, VALUE = 9, 9 + rows

local ledger = redis.call('MGET', KEYS[1], KEYS[2])
if ledger[1] ~= ARGV[1] then
  return 'schema'
end
if ledger[2] and ledger[2] ~= ARGV[2] and (writes > 0 or turn_ms > 0) then
  return 'turn'
end
if turn_ms > 0 then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', turn_ms)
end

local current = {}
for from = 1, rows, AT_ONCE do
  local last = math.min(from + AT_ONCE - 1, rows)
  local found = redis.call('MGET', unpack(KEYS, FIXED + from, FIXED + last))
  for i = 1, #found do
    current[from + i - 1] = found[i]
  end
end

local function begins_with(value, version)
  return find(value, version, 1, true) == 1 and byte(value, #version + 1) == SPACE
end

for row = 1, rows do
  local expected, value = ARGV[EXPECTED + row], current[row]
  if expected == '' then
    if value then
      return current
    end
  elseif not value or not begins_with(value, expected) then
    return current
  end
end

if writes == 0 then
  return 'written'
end

-- The first command that writes: whatever would make a write fail (no memory, no disk, a replica)
-- makes this one fail, before anything is changed.
local sequence = redis.call('INCRBY', KEYS[3], writes) - writes

local values, gone, changed, forgotten = {}, {}, {}, {}
local due_added, due_removed, closed_added, closed_removed = {}, {}, {}, {}
local rewritten = false

local function put(key, value)
  local n = #values
  values[n + 1] = key
  values[n + 2] = value
end

local function note_change(name)
  local n = #changed
  sequence = sequence + 1
  changed[n + 1] = sequence
  changed[n + 2] = name
end

local function drop(key, name)
  gone[#gone + 1] = key
  forgotten[#forgotten + 1] = name
  rewritten = true
end

-- The state of the hold in *value*, whose version has *length* signs, and what it is listed as: in
-- KEYS[6] while it is open, by when it is due, and in KEYS[7] by when it was closed; where that is
-- not known, in neither.
local function place(value, length, id)
  local state, instant = match(value, '^(%a+) (%S+) ', length + 2)
  return state, instant ~= '-' and instant .. ':' .. id
end

local function unlist(state, entry)
  if entry then
    local removed = state == 'held' and due_removed or closed_removed
    removed[#removed + 1] = entry
  end
end

local function list(state, entry)
  if entry then
    local added = state == 'held' and due_added or closed_added
    local n = #added
    added[n + 1] = '0'
    added[n + 2] = entry
  end
end

local function write_hold(key, value, old, old_length)
  local name = sub(key, prefix_length + 1)
  local id = sub(name, 6)
  local state, entry
  if old then
    state, entry = place(old, old_length, id)
    unlist(state, entry)
  end
  if value == '-' then
    drop(key, name)
    return
  end
  put(key, value)
  list(place(value, version_length, id))
  if state ~= 'settled' and state ~= 'released' then
    note_change(name)
  elseif sub(old, old_length + 1) ~= sub(value, version_length + 1) then
    rewritten = true -- History says something else from here on.
    note_change(name)
  end
end

for row = 1, last_account do
  local key, value = KEYS[FIXED + row], ARGV[VALUE + row]
  if value == '-' then
    drop(key, sub(key, prefix_length + 1))
  elseif value ~= '' then
    put(key, value)
    note_change(sub(key, prefix_length + 1))
  end
end
for row = last_account + 1, last_rate do
  local value = ARGV[VALUE + row]
  if value ~= '' then
    redis.call('SET', KEYS[FIXED + row], value, 'PX', ARGV[4])
  end
end
for row = last_rate + 1, rows do
  local value = ARGV[VALUE + row]
  if value ~= '' then
    write_hold(KEYS[FIXED + row], value, current[row], #ARGV[EXPECTED + row])
  end
end

local function in_parts(items, run)
  for from = 1, #items, AT_ONCE do
    run(unpack(items, from, math.min(from + AT_ONCE - 1, #items)))
  end
end

local function on(command, key)
  return function(...) redis.call(command, key, ...) end
end

in_parts(values, function(...) redis.call('MSET', ...) end)
in_parts(gone, function(...) redis.call('DEL', ...) end)
in_parts(changed, on('ZADD', KEYS[5]))
in_parts(forgotten, on('ZREM', KEYS[5]))
in_parts(due_removed, on('ZREM', KEYS[6]))
in_parts(due_added, on('ZADD', KEYS[6]))
in_parts(closed_removed, on('ZREM', KEYS[7]))
in_parts(closed_added, on('ZADD', KEYS[7]))
if rewritten then
  redis.call('INCR', KEYS[4])
end
if ledger[2] then
  redis.call('DEL', KEYS[2])
  return 'ended'
end
return 'written'
