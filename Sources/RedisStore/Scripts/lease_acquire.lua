-- KEYS  leader, epoch      ARGV  instance, ttl ms
-- Reply {'ACQUIRED', epoch} or {'HELD', ms left}
if redis.call('EXISTS', KEYS[1]) == 1 then return {'HELD', redis.call('PTTL', KEYS[1])} end
local epoch = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch, 'PX', ARGV[2])
return {'ACQUIRED', epoch}
