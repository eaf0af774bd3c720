-- The first holds of an index whose entries are '<instant of 20 digits>:<id>', in their order.
--
-- KEYS: schema, index. ARGV: schema version, the ledger's prefix, the end (exclusive), how many.
-- Answers the values of the holds, or 'schema' where the ledger has another one.

local AT_ONCE = 4000

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'schema'
end

local entries = redis.call('ZRANGEBYLEX', KEYS[2], '-', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
local keys = {}
for i = 1, #entries do
  keys[i] = ARGV[2] .. 'hold:' .. string.sub(entries[i], 22)
end

local found = {}
for from = 1, #keys, AT_ONCE do
  local last = math.min(from + AT_ONCE - 1, #keys)
  local values = redis.call('MGET', unpack(keys, from, last))
  for i = 1, #values do
    found[from + i - 1] = values[i]
  end
end
return found
