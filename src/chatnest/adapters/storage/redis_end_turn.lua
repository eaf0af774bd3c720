-- Ends a turn unless it has ended by itself and is somebody else's. KEYS: turn. ARGV: own turn.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 'ended'
