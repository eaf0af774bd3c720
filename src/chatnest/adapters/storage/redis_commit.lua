-- Writes the rows of one batch if every row that the batch names is still as it was judged on.
--
-- KEYS: schema, turn, sequence, rewritten, changes, due, closed; then the named rows.
-- ARGV: schema version, own turn or '', length of the ledger's prefix, how many milliseconds rate
--       states live; then for each named row the version that it must have, '' for a row that must
--       be missing, and its new value, '' where it stays, '-' where it goes.
--
-- Answers 'written', or having written nothing: 'schema' where the ledger has another one, 'turn'
-- where another process has its turn, or the values of all named rows where one is not as expected.
--
-- Amounts and instants stay strings throughout: Lua's numbers are doubles, exact to 2^53 only.

local FIXED = 7
local AT_ONCE = 4000 -- What Lua's stack has room for, with room to spare.

local rows = #KEYS - FIXED

local function expected_at(row) return ARGV[3 + 2 * row] end
local function value_at(row) return ARGV[4 + 2 * row] end

local writes = 0
for row = 1, rows do
  if value_at(row) ~= '' then
    writes = writes + 1
  end
end

local ledger = redis.call('MGET', KEYS[1], KEYS[2])
if ledger[1] ~= ARGV[1] then
  return 'schema'
end
if ledger[2] and ledger[2] ~= ARGV[2] and writes > 0 then
  return 'turn'
end

local current = {}
for from = 1, rows, AT_ONCE do
  local last = math.min(from + AT_ONCE - 1, rows)
  local values = redis.call('MGET', unpack(KEYS, FIXED + from, FIXED + last))
  for i = 1, #values do
    current[from + i - 1] = values[i]
  end
end

for row = 1, rows do
  local expected, value = expected_at(row), current[row]
  local found = value and string.sub(value, 1, #expected + 1)
  if (expected == '' and value) or (expected ~= '' and found ~= expected .. ' ') then
    return current
  end
end

if writes == 0 then
  return 'written'
end

-- The first command that writes: whatever would make a write fail (no memory, no disk, a replica)
-- makes this one fail, before anything is changed.
local sequence = redis.call('INCRBY', KEYS[3], writes) - writes

local prefix_length = tonumber(ARGV[3])
local values, gone, changed, forgotten = {}, {}, {}, {}
local due_added, due_removed, closed_added, closed_removed = {}, {}, {}, {}
local rewritten = false

local function add(list, item)
  list[#list + 1] = item
end

-- The state of the hold in *value*, and where it is listed: in KEYS[6] while it is open, by when
-- it is due, and in KEYS[7] by when it was closed; where that is not known, in neither.
local function place(value, id)
  local state, instant = string.match(value, '^%S+ (%a+) (%S+) ')
  return state, instant ~= '-' and instant .. ':' .. id
end

local function unlist(value, id)
  local state, entry = place(value, id)
  if entry then
    add(state == 'held' and due_removed or closed_removed, entry)
  end
end

local function list(value, id)
  local state, entry = place(value, id)
  if entry then
    local added = state == 'held' and due_added or closed_added
    add(added, 0)
    add(added, entry)
  end
end

-- Whether *old* and *new* are one row but for the version in front.
local function alike(old, new)
  return string.match(old, '^%S+( .*)$') == string.match(new, '^%S+( .*)$')
end

local function write(row, value)
  local key, old = KEYS[FIXED + row], current[row]
  local name = string.sub(key, prefix_length + 1)
  if string.sub(name, 1, 5) == 'rate:' then
    redis.call('SET', key, value, 'PX', ARGV[4])
    return
  end
  local id = string.match(name, '^hold:(.*)$')
  local is_new = true
  if old and id then
    unlist(old, id)
    local state = place(old, id)
    if state == 'settled' or state == 'released' then
      is_new = value == '-' or not alike(old, value)
      rewritten = rewritten or is_new
    end
  end
  if value == '-' then
    add(gone, key)
    add(forgotten, name)
    rewritten = true
    return
  end
  add(values, key)
  add(values, value)
  if id then
    list(value, id)
  end
  if is_new then
    sequence = sequence + 1
    add(changed, sequence)
    add(changed, name)
  end
end

for row = 1, rows do
  local value = value_at(row)
  if value ~= '' then
    write(row, value)
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
return 'written'
