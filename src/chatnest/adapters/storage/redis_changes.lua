-- The accounts and holds that were changed after a point of the ledger's sequence, oldest first.
--
-- KEYS: schema, changes, rewritten. ARGV: schema version, the ledger's prefix, the point, how many
-- (at most a few thousand). Answers how often history was rewritten, how many rows follow on these,
-- the point that these end at, their names, and their values; or 'schema' where the ledger has
-- another one.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'schema'
end

local after = '(' .. ARGV[3]
local found = redis.call('ZRANGEBYSCORE', KEYS[2], after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
local names, keys, last = {}, {}, ARGV[3]
for i = 1, #found, 2 do
  local add = #names + 1
  names[add] = found[i]
  keys[add] = ARGV[2] .. found[i]
  last = found[i + 1]
end
local values = #keys > 0 and redis.call('MGET', unpack(keys)) or {}
local left = redis.call('ZCOUNT', KEYS[2], '(' .. last, '+inf')
return {redis.call('GET', KEYS[3]) or '0', left, last, names, values}
