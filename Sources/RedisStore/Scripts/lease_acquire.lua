-- KEYS  leader, epoch      ARGV  instance, ttl ms
-- Reply {'ACQUIRED', epoch} or {'HELD', ms left}
-- A lease that is the bidder's own is left over from before it was started anew: its journal's lock makes sure that no
-- other process goes by its name. It begins a new reign at once.
local holder = redis.call('GET', KEYS[1])
if holder and string.match(holder, '^(%S+) ') ~= ARGV[1] then return {'HELD', redis.call('PTTL', KEYS[1])} end
local epoch = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch, 'PX', ARGV[2])
return {'ACQUIRED', epoch}
